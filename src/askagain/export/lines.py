"""Reads files of one text or word a line."""

from pathlib import Path

from askagain.errors import InputError


def read_lines(path: Path) -> list[str]:
    """The lines of a UTF-8 file without their ends; empty lines stay, so that places are line numbers from 0.

    Raises InputError where there is no such file, it is not UTF-8, or it is empty.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file; give a text file of one a line")
    try:
        with path.open(encoding="utf-8-sig") as file:
            lines = [line.rstrip("\n") for line in file]
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: byte {error.start + 1} is not UTF-8; convert the file") from error
    if not lines:
        raise InputError(f"{path}: empty; a text a line is needed")
    return lines
