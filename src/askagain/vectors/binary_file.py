"""Reads word vectors from word2vec's binary format: a header line, then each word, a space, and its float32 numbers."""

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from askagain.errors import InputError
from askagain.files.opened import is_gzip, opened_with_progress
from askagain.vectors.file_format import HEADER, has_control_bytes
from askagain.vectors.usable_table import log_duplicates, usable_table

HEADER_BYTES = 64  # enough for two 64-bit numbers in decimal
LONGEST_WORD = 1 << 12  # bytes
PIECE_BYTES = 1 << 22
AGAIN = "download or save it again"
MOST_PACKED = 1100  # times that gzip makes data smaller


def read_binary(path: Path, limit: int | None) -> tuple[list[str], np.ndarray]:
    """The first `limit` words (None: all) and their table, [words, dim] float32; keeps the first of repeated words.

    Raises InputError for a file that ends too early, goes on after its last word or has another format, and for words
    that are not UTF-8 or hold control characters: its content then does not fit its header.
    """
    rows: dict[str, int] = {}  # the number of each word, counted from 1
    read = 0
    with opened_with_progress(path) as file:
        promised, dim = _header(file, path, limit)
        try:
            table = np.empty((min(promised, limit or promised), dim), dtype=np.float32)
        except (MemoryError, ValueError):
            raise InputError(f"{path}: {promised} vectors of {dim} numbers do not fit into memory: set limit") from None
        for read, (word, vector) in enumerate(_entries(file, promised, dim, path), start=1):
            if word in rows:
                continue
            table[len(rows)] = vector
            rows[word] = read
            if len(rows) == limit:
                break
    log_duplicates(read - len(rows), path)
    words, numbers = list(rows), list(rows.values())
    return words, usable_table(words, table[: len(words)], path, lambda row: f"{path}, word {numbers[row]}")


def _header(file: BinaryIO, path: Path, limit: int | None) -> tuple[int, int]:
    """The numbers of words and of dimensions; raises InputError where the file is too short for them."""
    header = HEADER.fullmatch(file.readline(HEADER_BYTES).rstrip(b"\n"))
    if header is None:
        raise InputError(f"{path} does not start with '<words> <dimension>': is it word2vec binary?")
    promised, dim = int(header[1]), int(header[2])
    if not promised or not dim:
        raise InputError(f"{path} promises {promised} words of dimension {dim}: {AGAIN}")
    least = dim * np.dtype(np.float32).itemsize + 2  # of bytes for a word
    if path.stat().st_size * (MOST_PACKED if is_gzip(path) else 1) < least * min(promised, limit or promised):
        raise _too_short(path, promised)
    return promised, dim


def _entries(file: BinaryIO, count: int, dim: int, path: Path) -> Iterator[tuple[str, np.ndarray]]:
    """The words and vectors, as many as the header promises."""
    vector_bytes = dim * np.dtype(np.float32).itemsize
    content, start = b"", 0
    for number in range(1, count + 1):
        if len(content) - start < LONGEST_WORD + vector_bytes:
            content, start = content[start:] + file.read(PIECE_BYTES + vector_bytes), 0
        if content[start : start + 1] == b"\n":  # many writers end a vector with a line end
            start += 1
        space = content.find(b" ", start, start + LONGEST_WORD)
        if space < 0 and len(content) - start >= LONGEST_WORD:
            raise _no_word(path, number)
        end = space + 1 + vector_bytes
        if space < 0 or end > len(content):
            raise _too_short(path, count)
        word = content[start:space]
        if not word or has_control_bytes(word):
            raise _no_word(path, number)
        try:
            yield word.decode("utf-8"), np.frombuffer(content, "<f4", dim, space + 1)
        except UnicodeDecodeError:
            raise _no_word(path, number) from None
        start = end
    if (content[start:] + file.read(PIECE_BYTES)).strip():
        raise InputError(f"{path} goes on after its {count} words: its content does not fit its header; {AGAIN}")


def _no_word(path: Path, number: int) -> InputError:
    return InputError(f"{path}, word {number}: no word in UTF-8 is there: its content does not fit its header; {AGAIN}")


def _too_short(path: Path, count: int) -> InputError:
    return InputError(f"{path} ends before its {count} words do: {AGAIN}")
