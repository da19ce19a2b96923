"""Reads word vectors from text: a word and its numbers a line, after word2vec's header line or without one (GloVe)."""

from array import array
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from askagain.errors import InputError
from askagain.files.opened import opened_with_progress
from askagain.vectors.file_format import HEADER
from askagain.vectors.usable_table import log_duplicates, usable_table


class _Line(NamedTuple):
    number: int
    word: bytes
    values: list[bytes]


def read_text(path: Path, has_header: bool, limit: int | None) -> tuple[list[str], np.ndarray]:
    """The first `limit` words (None: all) and their table, [words, dim] float32; keeps the first of repeated words.

    Fields are separated by spaces or tabs. A word may contain spaces, as a few in GloVe's 840B file do. Empty lines are
    skipped. fastText's .vec files are word2vec text. Raises InputError with file and line for a line that is no vector.
    """
    rows: dict[str, int] = {}  # the line number of each word, in the order of the table
    numbers = array("f")
    n_read = 0
    with opened_with_progress(path) as file:
        n_promised, dim, lines = _start(file, path, has_header)
        for line in lines:
            n_read += 1
            try:
                word = line.word.decode()
            except UnicodeDecodeError:
                raise InputError(f"{path}:{line.number}: the word is not UTF-8: convert it, say with iconv") from None
            if word in rows:
                continue
            rows[word] = line.number
            numbers.extend(_floats(line, path))
            if len(rows) == limit:
                break
        else:
            if n_promised is not None and n_read != n_promised:
                raise InputError(
                    f"{path}:1: the header promises {n_promised} words but {n_read} follow: download it again"
                )
    log_duplicates(n_read - len(rows), path)
    words, line_numbers = list(rows), list(rows.values())
    table = np.frombuffer(numbers, dtype=np.float32).reshape(-1, dim)
    return words, usable_table(words, table, path, lambda row: f"{path}:{line_numbers[row]}")


def _start(file: BinaryIO, path: Path, has_header: bool) -> tuple[int | None, int, Iterator[_Line]]:
    """The number of words in the header (None without one), the dimension, and the lines of vectors."""
    first = file.readline()
    if has_header:
        header = HEADER.fullmatch(first.rstrip(b"\r\n"))
        if header is None:
            raise InputError(f"{path}:1: expected '<words> <dimension>': add that line, or read with format=glove")
        n_promised, dim = int(header[1]), int(header[2])
        if not n_promised or not dim:
            raise InputError(f"{path}:1: the header promises no vectors: download or save the file again")
        return n_promised, dim, _lines(file, dim, path, first_number=2)
    dim = len(first.split()) - 1
    if dim < 1:
        raise InputError(f"{path}:1: expected a word and its numbers: is this a file of word vectors?")
    return None, dim, _lines(chain([first], file), dim, path, first_number=1)


def _lines(file: Iterable[bytes], dim: int, path: Path, first_number: int) -> Iterator[_Line]:
    for number, line in enumerate(file, first_number):
        if line.strip():
            yield _split(line, number, dim, path)


def _split(line: bytes, number: int, dim: int, path: Path) -> _Line:
    fields = line.split()  # at ASCII white space only: a no-break space or U+0085 belongs to its word
    word = fields[:-dim]
    if not word or (len(word) > 1 and _is_number(word[-1])):
        raise InputError(
            f"{path}:{number}: expected a word and {dim} numbers but found {len(fields)} fields: "
            "repair or remove the line"
        )
    return _Line(number, b" ".join(word), fields[-dim:])


def _floats(line: _Line, path: Path) -> list[float]:
    try:
        return list(map(float, line.values))
    except ValueError:
        wrong = next(value for value in line.values if not _is_number(value)).decode(errors="replace")
        raise InputError(f"{path}:{line.number}: '{wrong}' is not a number: repair or remove the line") from None


def _is_number(field: bytes) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True
