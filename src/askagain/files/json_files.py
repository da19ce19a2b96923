"""JSON files: written in one step, read with a look at what is in them."""

import json
from pathlib import Path
from typing import Any

from askagain.files.writing import replacing


def write_json(path: Path, content: Any, indent: int | None = None) -> None:
    """Writes `content` as UTF-8 JSON, replacing `path` in one step."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(content, ensure_ascii=False, indent=indent) + "\n", encoding="utf-8")


def load_strings(path: Path) -> list[str]:
    """The distinct strings in a JSON list; raises ValueError where the file holds something else."""
    strings = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(strings, list) or not all(isinstance(string, str) for string in strings):
        raise ValueError(f"{path.name} is not a list of strings")
    if len(set(strings)) < len(strings):
        raise ValueError(f"{path.name} has a string twice")
    return strings
