"""The token store in C: cells and tokens in bytes, their hashes, and numbers for hashes; see `askagain.corpus.cells`.

Each function returns None where there is no library, or none yet and little to do.
"""

import ctypes
from pathlib import Path
from typing import NamedTuple

import numpy as np

from askagain.native.library import Library, pointer

COMPILED_AT = 1 << 19  # bytes, or hashes that are known; with fewer, what was compiled before is used
BAD = -1  # as in the source

Integer = ctypes.c_int64
LONG = ("count_byte", "count_tokens", "find_cells", "find_tokens", "number_hashes")  # results
_library = Library(Path(__file__).with_name("store.c"), results=dict.fromkeys(LONG, Integer))


class Spans(NamedTuple):
    """Pieces of bytes: where they begin and end, [n] int64 each, their hashes, [n] uint64, and how many are in each of
    the larger pieces that they lie in, int64.
    """

    begins: np.ndarray
    ends: np.ndarray
    hashes: np.ndarray
    lengths: np.ndarray

    def cut(self, count: int) -> "Spans":
        """The first spans."""
        return Spans(self.begins[:count], self.ends[:count], self.hashes[:count], self.lengths)


class BadLineError(ValueError):
    """A line is bad, see `cells`."""


def is_plain(data: bytes) -> bool | None:
    """Whether all bytes are printable ASCII or ASCII white space."""
    library = _loaded(len(data))
    return None if library is None else bool(library.is_plain(data, Integer(len(data))))


def hashes(data: bytes, begins: np.ndarray, ends: np.ndarray) -> np.ndarray | None:
    """The hash of each span of the data, [n] uint64."""
    library = _loaded(len(data))
    if library is None:
        return None
    hashed = np.empty(len(begins), dtype=np.uint64)
    spans = (pointer(begins), pointer(ends), Integer(len(begins)))
    library.hash_spans(data, Integer(len(data)), *spans, pointer(hashed))
    return hashed


def cells(data: bytes, separator: bytes | None, least: int, longest: int) -> Spans | None:
    """The cells of lines of valid UTF-8, without white space around them; `separator` is a tab, or None for none.

    Raises BadLineError where a line has fewer than `least` cells, an empty one, one of more than `longest` bytes, a
    NUL, or a carriage return that does not end it.
    """
    library = _loaded(len(data))
    if library is None:
        return None
    lines = 1 + _count(library, data, b"\n")
    room = _room(lines + (0 if separator is None else _count(library, data, separator)), lines)
    settings = (-1 if separator is None else separator[0], Integer(least), Integer(longest))
    count = library.find_cells(data, Integer(len(data)), *settings, *map(pointer, room))
    if count == BAD:
        raise BadLineError
    return room.cut(count)


def tokens(data: bytes, begins: np.ndarray, ends: np.ndarray) -> Spans | None:
    """The pieces between the spaces of each span of the data."""
    library = _loaded(len(data))
    if library is None:
        return None
    spans = (pointer(begins), pointer(ends), Integer(len(begins)))
    room = _room(library.count_tokens(data, *spans), len(begins))
    library.find_tokens(data, Integer(len(data)), *spans, *map(pointer, room))
    return room


def mixed_parts(
    part_offsets: np.ndarray,
    full: np.ndarray,
    bare: np.ndarray,
    is_word: np.ndarray,
    tokens: np.ndarray,
    offsets: np.ndarray,
) -> np.ndarray | None:
    """The hash of each text, [texts] uint64, see `askagain.corpus.alike`.

    `part_offsets`: [tokens + 1] int64, where the parts of each token begin. `full`, `bare`: [parts] uint64. `is_word`:
    [parts] bool. `tokens`: int32, and `offsets`: [texts + 1] int64, bags of tokens. Raises IndexError for a token
    without parts.
    """
    library = _loaded(len(tokens))
    if library is None:
        return None
    if len(tokens) and (tokens.min() < 0 or tokens.max() >= len(part_offsets) - 1):
        raise IndexError("a token without parts")
    hashed = np.empty(len(offsets) - 1, dtype=np.uint64)
    parts = map(pointer, (part_offsets, full, bare, is_word))
    texts = (
        pointer(np.ascontiguousarray(tokens, dtype=np.int32)),
        pointer(np.ascontiguousarray(offsets, dtype=np.int64)),
    )
    library.mix_parts(*parts, *texts, Integer(len(hashed)), pointer(hashed))
    return hashed


def number(
    known: np.ndarray, count: int, table: np.ndarray, counts: np.ndarray | None, hashes: np.ndarray
) -> tuple[np.ndarray, np.ndarray] | None:
    """The number of each hash, [n] int32, and the places in `hashes`, int64, of new ones, which are entered.

    `known`: uint64, of which the first `count` are known, with room for `n` more. `table`: int32, a power of two of
    slots, each with a number or -1. `counts`: int64, how often each known hash was met, to which these are added.
    """
    library = _loaded(max(count, len(hashes)))
    if library is None:
        return None
    hashes = np.ascontiguousarray(hashes, dtype=np.uint64)
    numbers, firsts = np.empty(len(hashes), dtype=np.int32), np.empty(len(hashes), dtype=np.int64)
    index = (pointer(known), Integer(count), pointer(table), ctypes.c_uint64(len(table) - 1))
    asked = (None if counts is None else pointer(counts), pointer(hashes), Integer(len(hashes)))
    total = library.number_hashes(*index, *asked, pointer(numbers), pointer(firsts))
    return numbers, firsts[: total - count]


def enter(known: np.ndarray, count: int, table: np.ndarray) -> bool | None:
    """Enters the first `count` of `known` into an empty table."""
    library = _loaded(count)
    if library is None:
        return None
    library.enter_hashes(pointer(known), Integer(count), pointer(table), ctypes.c_uint64(len(table) - 1))
    return True


def start() -> None:
    """Begins to compile or to load it, beside other work."""
    _library.start()


def _loaded(size: int) -> ctypes.CDLL | None:
    is_large = size >= COMPILED_AT  # and worth the wait
    return _library.loaded(wait=is_large, may_compile=is_large)


def _count(library: ctypes.CDLL, data: bytes, byte: bytes) -> int:
    """As `bytes.count` does, which would keep the interpreter lock."""
    return library.count_byte(data, Integer(len(data)), byte[0])


def _room(spans: int, groups: int) -> Spans:
    begins, ends, lengths = (np.empty(size, dtype=np.int64) for size in (spans, spans, groups))
    return Spans(begins, ends, np.empty(spans, dtype=np.uint64), lengths)
