"""JSON files: written atomically, and the lists in them checked."""

import json
from pathlib import Path
from typing import Any

from askagain.files.writing import write_text


def write_json(path: Path, content: Any, indent: int | None = None) -> None:
    """Writes `content` as UTF-8 JSON; the file appears whole or not at all."""
    write_text(path, [json_text(content, indent)])


def json_text(content: Any, indent: int | None = None) -> str:
    """What `write_json` writes."""
    return json.dumps(content, ensure_ascii=False, indent=indent) + "\n"


def distinct_strings(strings: Any, name: str) -> dict[str, int]:
    """The place of each string of a list of distinct ones.

    Raises ValueError with the file's `name` for anything else, and for strings with half of a character.
    """
    if not isinstance(strings, list) or not set(map(type, strings)) <= {str}:
        raise ValueError(f"{name} is not a list of strings")
    try:
        "".join(strings).encode("utf-8")
    except UnicodeEncodeError:
        raise ValueError(f"{name} has half of a character, a lone surrogate") from None
    places = dict(zip(strings, range(len(strings)), strict=True))
    if len(places) < len(strings):
        raise ValueError(f"{name} has a string twice")
    return places
