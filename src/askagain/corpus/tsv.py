"""Reads TSV files: a group of duplicates a line, or a question, its duplicate and negatives a line."""

import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from askagain.corpus.cells import END, Cells
from askagain.errors import InputError
from askagain.files.in_order import in_order
from askagain.files.opened import BYTE_ORDER_MARK, head, opened_with_progress, refuse_unreadable
from askagain.native import store
from askagain.text.cleaning import cleaned

log = logging.getLogger(__name__)

OTHER_FORMATS = (b"\xff\xfe", b"\xfe\xff", b"PK\x03\x04", b"BZh")  # UTF-16 in both orders, zip, bzip2
PIECE_BYTES = 1 << 21
LONGEST_LINE, LONGEST_TEXT, MOST_BLANK = 1 << 26, 1 << 20, 1 << 20  # bytes; the last of line ends in a row
NUL = "\0"
TAB = b"\t"
HEADER_BYTES = 1 << 12  # no header is longer
NO_TEXT = "(group|post|query|question|text)?_?id|groups?|is_?duplicate|label|qid|score"
HEADER_WORD = re.compile(
    f"anchor|body|candidates?|duplicates?|negatives?|positives?|query|queries|questions?|sentences?|texts?|titles?|{NO_TEXT}"
)
WHITE_SPACE = "".join(character for character in map(chr, range(0x3001)) if character.isspace())


class Rows(NamedTuple):
    """The rows of a piece of a file.

    `cells`: the texts of all rows, one after the other. `lengths`: cells in each row, [rows]. `skipped`: bad rows that
    were left out.
    """

    cells: Cells
    lengths: np.ndarray
    skipped: int


def read_rows(
    path: Path,
    min_columns: int,
    on_bad_row: str = "error",
    separator: str | None = "\t",
    piece_bytes: int = PIECE_BYTES,
    clean: bool = True,
    first_line: int = 1,
) -> Iterator[Rows]:
    """Reads a tab-separated UTF-8 file piece by piece, so that memory does not grow with it.

    The file is plain or gzip, with or without byte-order mark; its lines end in LF or CRLF. White space around cells is
    dropped. A row is bad if it has fewer than `min_columns` columns, an empty cell, a text of more than a MiB, a
    carriage return, a NUL, or bytes that are not UTF-8.

    Args:
        path: the file.
        min_columns: columns that a row must have.
        on_bad_row: `error` to refuse the file at the first bad row, `skip` to leave bad rows out, count and log them.
        separator: of columns; None for one text a line, tabs and all.
        piece_bytes: bytes that are read and split together; bounds the memory.
        clean: leave characters out that nobody sees, see `askagain.text.cleaning.cleaned`.
        first_line: 2 to leave a header out, see `header`.

    Raises:
        InputError: the file is missing, damaged, without a single good row, or has a bad row that is not skipped; the
            message has file and line number.
    """
    refuse_unreadable(path)
    good = skipped = 0
    with opened_with_progress(path) as file:

        def split(numbered: tuple[int, bytes]) -> Rows:
            line, piece = numbered
            rows = _good_rows(piece, min_columns, separator, clean)
            if rows is None:
                rows = _rows_one_by_one(piece, path, line, min_columns, separator, on_bad_row == "skip", clean)
            return rows

        if first_line > 1:
            file.readline(HEADER_BYTES)
        for rows in in_order(split, _pieces(file, path, piece_bytes, first_line)):
            good += len(rows.lengths)
            skipped += rows.skipped
            yield rows
    if skipped:
        log.warning("%s: skipped %d bad rows of %d", path, skipped, skipped + good)
    if not good:
        what = f"all {skipped} rows are bad" if skipped else "there are only blank lines"
        raise InputError(f"{path}: {what}; it needs rows of {min_columns} or more tab-separated texts")


def read_cells(path: Path, min_columns: int = 1, separator: str | None = "\t") -> Iterator[list[str]]:
    """The cells of each row of a TSV file; see `read_rows`."""
    for rows in read_rows(path, min_columns, separator=separator):
        cells = rows.cells.to_list()
        ends = np.cumsum(rows.lengths).tolist()
        for start, end in zip([0, *ends], ends, strict=False):
            yield cells[start:end]


def header(path: Path) -> list[str] | None:
    """The first line of a TSV file if it names columns, such as `question` and `duplicate1`, else None."""
    line, end, _ = head(path, HEADER_BYTES).removeprefix(BYTE_ORDER_MARK).partition(b"\n")
    cells = line.decode("utf-8", "replace").strip().split("\t")
    names = map(_plain, cells)
    return cells if end and len(cells) > 1 and all(map(HEADER_WORD.fullmatch, names)) else None


def is_no_text(column: str) -> bool:
    """Whether a name in a header is that of ids or labels."""
    return re.fullmatch(NO_TEXT, _plain(column)) is not None


def _plain(column: str) -> str:
    return re.sub(r"[\W\d]+", "", column.lower()).strip("_")


def _pieces(file: BinaryIO, path: Path, piece_bytes: int, line: int) -> Iterator[tuple[int, bytes]]:
    """Pieces of whole lines, each with the number of its first line; blank lines at the end are dropped."""
    begun = file.read(piece_bytes)
    if begun.startswith(OTHER_FORMATS):
        raise InputError(f"{path}: not UTF-8 text but UTF-16 or a packed file; convert or unpack it")
    begun = begun.removeprefix(BYTE_ORDER_MARK)
    while begun:
        more = file.read(piece_bytes)
        end = len(begun.rstrip(b"\r\n"))  # line ends are kept back until text follows them
        if len(begun) - end > MOST_BLANK:
            blank = line + begun.count(b"\n", 0, end) + (end > 0)
            raise InputError(f"{path}, line {blank}: more than {MOST_BLANK:,} bytes of blank lines; take them out")
        if more:
            end = begun.rfind(b"\n", 0, end) + 1
            if not end and len(begun) > LONGEST_LINE:
                raise InputError(
                    f"{path}, line {line}: longer than {LONGEST_LINE:,} bytes; lines must end in LF or CRLF"
                )
        if end:
            yield line, begun[: end - 1 if more else end]
            line += begun.count(b"\n", 0, end)
        if not more:
            return
        begun = begun[end:] + more


def _good_rows(piece: bytes, min_columns: int, separator: str | None, clean: bool) -> Rows | None:
    """The rows of a piece; None where one of them is bad, or may be."""
    if not store.is_plain(piece):
        try:
            text = piece.decode("utf-8")
        except UnicodeDecodeError:
            return None
        if clean and (seen := cleaned(text)) is not text:
            piece = seen.encode("utf-8")
    try:
        cell_end = None if separator is None else separator.encode("utf-8")
        is_cut_in_c = cell_end in (None, TAB)
        spans = store.cells(piece, cell_end, min_columns, LONGEST_TEXT) if is_cut_in_c else None
    except store.BadLineError:
        return None
    if spans is None:
        return _split_rows(piece.decode("utf-8"), min_columns, separator)
    return Rows(Cells(piece, *spans[:3]), spans.lengths, 0)


def _split_rows(text: str, min_columns: int, separator: str | None) -> Rows | None:
    """The rows of a piece that is clean."""
    if NUL in text:
        return None
    if "\r" in text:
        text = text.removesuffix("\r").replace("\r\n", "\n")
        if "\r" in text:
            return None
    import polars as pl  # takes long to import, and C splits most files

    cells = pl.Series([text]).str.split("\n").explode()
    lengths = np.ones(len(cells), dtype=np.int64)
    if separator is not None:
        lists = cells.str.split(separator)
        lengths = lists.list.len().to_numpy().astype(np.int64)
        cells = lists.explode()
    cells = cells.str.strip_chars(WHITE_SPACE)
    sizes = cells.str.len_bytes().to_numpy().astype(np.int64)
    if sizes.max() > LONGEST_TEXT or lengths.min() < min_columns or not sizes.all():
        return None
    ends = np.cumsum(sizes + len(END)) - len(END)
    return Rows(Cells.placed(cells.str.join(END.decode()).item().encode("utf-8"), ends - sizes, ends), lengths, 0)


def _rows_one_by_one(
    piece: bytes, path: Path, first_line: int, min_columns: int, separator: str | None, skip: bool, clean: bool
) -> Rows:
    cells: list[str] = []
    lengths: list[int] = []
    lines = piece.split(b"\n")
    for number, line in enumerate(lines, start=first_line):
        try:
            row = _cells(line.rstrip(b"\r"), min_columns, separator, clean)
        except ValueError as problem:
            if not skip:
                raise InputError(
                    f"{path}, line {number}: {problem}; repair the line, or leave bad rows out with "
                    "data.on_bad_row=skip"
                ) from problem
            continue
        cells += row
        lengths.append(len(row))
    return Rows(Cells.of(cells), np.array(lengths, dtype=np.int64), len(lines) - len(lengths))


def _cells(line: bytes, min_columns: int, separator: str | None, clean: bool) -> list[str]:
    """The cells of one line; raises ValueError that says what is wrong with it."""
    longest = max(map(len, [line] if separator is None else line.split(separator.encode())))
    if longest > LONGEST_TEXT:
        raise ValueError(f"a text of {longest:,} bytes, and {LONGEST_TEXT:,} are the most that one may have")
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"byte {error.start + 1} of the line is not UTF-8") from error
    if NUL in text:
        raise ValueError("a NUL character within the line")
    if clean:
        text = cleaned(text)
    cells = [cell.strip() for cell in ([text] if separator is None else text.split(separator))]
    if "\r" in text:
        raise ValueError("a carriage return within the line; lines must end in LF or CRLF")
    if not all(cells):
        raise ValueError("the line is empty" if not any(cells) else f"column {cells.index('') + 1} is empty")
    if len(cells) < min_columns:
        raise ValueError(f"{len(cells)} column{'s' * (len(cells) > 1)}, at least {min_columns} needed (tab-separated)")
    return cells
