"""Reads the TSV files: one group of duplicate questions a line, or question, duplicate and negatives."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from askagain.errors import InputError
from askagain.files.opened import opened_with_progress, refuse_unreadable
from askagain.text.bags import Bags

log = logging.getLogger(__name__)

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
OTHER_FORMATS = (b"\xff\xfe", b"\xfe\xff", b"PK\x03\x04", b"BZh")  # UTF-16 in both orders, zip, bzip2


@dataclass(frozen=True, eq=False)
class TextRows:
    """Rows of texts, each distinct text held once.

    `texts`: the distinct texts in the order of their first use. `rows`: one bag of text indices a row, in the order
    of its columns. `skipped`: how many bad rows were left out.
    """

    texts: list[str]
    rows: Bags
    skipped: int = 0


def read_rows(path: Path, min_columns: int, on_bad_row: str = "error", separator: str | None = "\t") -> TextRows:
    """Reads a tab-separated UTF-8 file, plain or gzip, with or without byte-order mark, lines ending in LF or CRLF.

    With `separator=None` a line is one text, tabs and all. White space around a cell is dropped. A row is bad if it has
    fewer than `min_columns` columns, an empty cell, a carriage return, or bytes that are not UTF-8: with
    `on_bad_row="error"` the first one raises InputError with file and line number; with `"skip"` bad rows are left
    out, counted and logged. Raises InputError as well for a file that is missing, damaged, or without a single good
    row.
    """
    if on_bad_row not in ("error", "skip"):
        raise InputError(f"data.on_bad_row={on_bad_row}: not one of error, skip")
    index: dict[str, int] = {}
    rows: list[list[int]] = []
    skipped = 0
    for number, line in _lines(path):
        try:
            cells = _cells(line, min_columns, separator)
        except ValueError as problem:
            if on_bad_row == "error":
                raise InputError(
                    f"{path}, line {number}: {problem}; mend the line or set data.on_bad_row=skip"
                ) from problem
            skipped += 1
            continue
        rows.append([index.setdefault(cell, len(index)) for cell in cells])
    if skipped:
        log.warning("%s: skipped %d bad rows of %d", path, skipped, skipped + len(rows))
    if not rows:
        what = f"all {skipped} rows are bad" if skipped else "there are only blank lines"
        raise InputError(f"{path}: {what}; it needs rows of {min_columns} or more tab-separated texts")
    return TextRows(list(index), Bags.from_lists(rows), skipped)


def _cells(line: bytes, min_columns: int, separator: str | None) -> list[str]:
    """The cells of one line; raises ValueError (UnicodeDecodeError is one) that says what is wrong with it."""
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"byte {error.start + 1} of the line is not UTF-8") from error
    cells = [cell.strip() for cell in ([text] if separator is None else text.split(separator))]
    if "\r" in text:
        raise ValueError("a carriage return within the line; lines must end in LF or CRLF")
    if not all(cells):
        raise ValueError("the line is empty" if not any(cells) else f"column {cells.index('') + 1} is empty")
    if len(cells) < min_columns:
        raise ValueError(f"{len(cells)} column{'s' * (len(cells) > 1)}, at least {min_columns} needed (tab-separated)")
    return cells


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Line numbers from 1 and lines without their ending; blank lines at the very end are not lines."""
    refuse_unreadable(path)
    blank = 0
    with opened_with_progress(path) as lines:
        for number, line in enumerate(lines, start=1):
            if number == 1 and line.startswith(OTHER_FORMATS):
                raise InputError(f"{path}: not UTF-8 text but UTF-16 or a packed file; convert or unpack it")
            content = (line.removeprefix(BYTE_ORDER_MARK) if number == 1 else line).rstrip(b"\r\n")
            if not content:
                blank += 1
                continue
            yield from ((number - back, b"") for back in range(blank, 0, -1))
            blank = 0
            yield number, content
