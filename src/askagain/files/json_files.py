"""JSON files: written atomically, and the lists in them checked."""

import hashlib
import json
from pathlib import Path
from typing import Any

from askagain.files.writing import write_text

SEAL = "sha256"  # of an object without it


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


def write_sealed_json(path: Path, content: dict[str, Any]) -> None:
    """Writes an object with a digest of itself, which `read_sealed_json` checks."""
    write_json(path, content | {SEAL: _seal(content)}, indent=2)


def read_sealed_json(path: Path) -> dict[str, Any]:
    """What `write_sealed_json` wrote; raises ValueError where it is something else, and OSError."""
    content = json.loads(path.read_bytes())
    if not isinstance(content, dict) or content.pop(SEAL, None) != _seal(content):
        raise ValueError(f"{path.name} is not what was written")
    return content


def _seal(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True, ensure_ascii=False).encode()).hexdigest()
