"""JSON files: written in one step, read with a look at what is in them."""

import json
from pathlib import Path
from typing import Any

from askagain.files.writing import atomic_write


def write_json(path: Path, content: Any, indent: int | None = None) -> None:
    """Writes `content` as UTF-8 JSON, atomic_write `path` in one step."""
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(content, ensure_ascii=False, indent=indent) + "\n", encoding="utf-8")


def load_json(path: Path) -> Any:
    """What a UTF-8 JSON file holds; raises ValueError where it holds something else."""
    return json.loads(path.read_text(encoding="utf-8"))


def load_strings(path: Path) -> list[str]:
    """The distinct strings in a JSON list; raises ValueError where the file holds something else."""
    return distinct_strings(load_json(path), path.name)


def distinct_strings(strings: Any, name: str) -> list[str]:
    """The list itself; raises ValueError, with the file's name, where it is no list of distinct strings."""
    if not isinstance(strings, list) or not all(isinstance(string, str) for string in strings):
        raise ValueError(f"{name} is not a list of strings")
    if len(set(strings)) < len(strings):
        raise ValueError(f"{name} has a string twice")
    return strings
