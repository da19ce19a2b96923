"""Reads word vectors from text: a word and its numbers a line, after word2vec's header line or without one (GloVe)."""

from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np

from askagain.errors import InputError
from askagain.files.opened import BYTE_ORDER_MARK, opened_with_progress
from askagain.vectors.file_format import HEADER, fields, is_number
from askagain.vectors.usable_table import log_duplicates, usable_table

LONGEST_LINE = 1 << 22  # bytes


def read_text(path: Path, limit: int | None, has_header: bool) -> tuple[list[str], np.ndarray]:
    """The first `limit` words (None: all) and their table, [words, dim] float32; keeps the first of repeated words.

    Fields are separated by spaces or tabs. A word may contain spaces, as a few in GloVe's 840B file do. Empty lines are
    skipped. fastText's .vec files are word2vec text. Raises InputError with file and line for a line that is no vector.
    """
    rows: dict[str, int] = {}  # the line number of each word, in the order of the table
    numbers = array("f")
    read, promised, dim = 0, None, 0
    with opened_with_progress(path) as file:
        lines = enumerate(_lines(file, path), start=1)
        if has_header:
            promised, dim = _header(next(lines)[1], path)
        for number, line in lines:
            parts = fields(line)
            if not parts:
                continue
            read += 1
            if not dim:
                dim = len(parts) - 1
                _refuse_odd_blank(parts[0], f"{path}:{number}")
            word, values = _parsed(parts, dim, f"{path}:{number}")
            if word not in rows:
                rows[word] = number
                numbers.extend(values)
            if len(rows) == limit:
                break
        else:
            if promised not in (None, read):
                raise InputError(f"{path}:1: the header promises {promised} words but {read} follow: download it again")
    log_duplicates(read - len(rows), path)
    words, line_numbers = list(rows), list(rows.values())
    table = np.frombuffer(numbers, dtype=np.float32).reshape(len(words), dim)
    return words, usable_table(words, table, path, lambda row: f"{path}:{line_numbers[row]}")


def _lines(file: BinaryIO, path: Path) -> Iterator[bytes]:
    """The lines of a file, without a byte-order mark; raises InputError for one that is too long for a vector."""
    number = 0
    while line := file.readline(LONGEST_LINE):
        number += 1
        if len(line) == LONGEST_LINE:
            raise InputError(f"{path}:{number}: longer than {LONGEST_LINE:,} bytes: is this a file of word vectors?")
        yield line.removeprefix(BYTE_ORDER_MARK) if number == 1 else line


def _header(line: bytes, path: Path) -> tuple[int, int]:
    """The number of words and their dimension."""
    header = HEADER.fullmatch(line.rstrip(b"\r\n"))
    if header is None:
        raise InputError(f"{path}:1: expected '<words> <dimension>': add that line, or read with format=glove")
    promised, dim = int(header[1]), int(header[2])
    if not promised or not dim:
        raise InputError(f"{path}:1: the header promises no vectors: download or save the file again")
    return promised, dim


def _refuse_odd_blank(word: bytes, place: str) -> None:
    """Refuses the first word where it ends with a number after a no-break space: other lines would have more fields."""
    parts = word.decode(errors="replace").split()
    if len(parts) > 1 and is_number(parts[-1].encode()):
        raise InputError(f"{place}: the blank before '{parts[-1]}' is neither a space nor a tab: put a space there")


def _parsed(parts: Sequence[bytes], dim: int, place: str) -> tuple[str, list[float]]:
    """The word of a line and its numbers."""
    if dim < 1:
        raise InputError(f"{place}: expected a word and its numbers: is this a file of word vectors?")
    word, values = parts[:-dim], parts[-dim:]
    if not word or (len(word) > 1 and is_number(word[-1])):
        raise InputError(
            f"{place}: expected a word and {dim} numbers but found {len(parts)} fields: repair or remove the line"
        )
    try:
        numbers = list(map(float, values))
    except ValueError:
        numbers = []
    if not numbers or b"_" in b"".join(values):  # which Python's numbers may have
        wrong = next(value for value in values if not is_number(value)).decode(errors="replace")
        raise InputError(f"{place}: '{wrong}' is not a number: repair or remove the line")
    try:
        return b" ".join(word).decode(), numbers
    except UnicodeDecodeError:
        raise InputError(f"{place}: the word is not UTF-8: convert it, say with iconv") from None
