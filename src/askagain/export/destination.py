"""Where an export goes: never over something that no export has written."""

import json
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from askagain.errors import InputError

MARKER = "askagain-export.json"  # in every folder that is written


def check_destination(path: Path, overwrite: bool, suffixes: Sequence[str], sources: Iterable[Path] = ()) -> None:
    """Raises InputError where an export may not be written to a path.

    Args:
        path: the file or folder.
        overwrite: replace an earlier export.
        suffixes: what the name of a file may end in; none for a folder.
        sources: what is read, which must not be replaced.
    """
    if suffixes and path.suffix not in suffixes:
        raise InputError(f"{path}: this format is one file; give it a name that ends in {' or '.join(suffixes)}")
    parent = next(folder for folder in path.absolute().parents if folder.exists())
    if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
        what = "may not be written to" if parent.is_dir() else "is no folder"
        raise InputError(f"{path}: {parent} {what}; choose another place with -o")
    if not os.path.lexists(path):
        return
    if not suffixes and path.is_dir() and not path.is_symlink() and not any(path.iterdir()):
        return
    if not overwrite:
        raise InputError(f"{path}: is there already; choose another name with -o, or type --overwrite")
    resolved = path.resolve()
    if any(resolved in (source.resolve(), *source.resolve().parents) for source in sources):
        raise InputError(f"{path}: the export reads from there; choose another name with -o")
    if suffixes and not (path.is_file() and not path.is_symlink()):
        raise InputError(f"{path}: is no file; choose another name with -o")
    if suffixes and not _begins_like_vectors(path):
        raise InputError(f"{path}: holds no word vectors; choose another name with -o")
    if not suffixes and (path.is_symlink() or not is_export(path)):
        raise InputError(f"{path}: is not an export of askagain ({MARKER} is missing); choose another name with -o")


def _begins_like_vectors(path: Path) -> bool:
    """Whether a file begins as word vectors do: with two numbers, or as gensim's saves."""
    with path.open("rb") as file:
        begun = file.read(64)
    return not begun or begun.startswith(b"\x80") or re.match(rb"\d+ \d+\r?\n", begun) is not None


def is_export(folder: Path) -> bool:
    """Whether a folder has the file that exports are marked with."""
    try:
        content = json.loads((folder / MARKER).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and "format" in content
