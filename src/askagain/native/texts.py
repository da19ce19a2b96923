"""Texts in C: tokens become numbers, their ids are collected, and rows are added up. It gives what Python gives."""

import ctypes
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from askagain.native.library import Library

END = "\0"  # of a text
PADDING = b"\0" * 16  # that may be read behind the last text
MANY_TEXTS = 256  # with fewer, nothing is compiled
MANY_IDS = 4096  # likewise

Integer = ctypes.c_int64
_library = Library(Path(__file__).with_name("texts.c"), ("-ffp-contract=off",))  # products are rounded, as numpy's are


class TokenTable:
    """Numbers distinct tokens, pieces between spaces, in the order of their first occurrence.

    Raises MemoryError where memory ends.
    """

    def __init__(self, library: ctypes.CDLL) -> None:
        self._library = library
        library.tokens_new.restype = ctypes.c_void_p
        library.tokens_count.restype = library.tokens_number.restype = Integer
        self._tokens = ctypes.c_void_p(library.tokens_new())
        if not self._tokens:
            raise MemoryError

    def __del__(self) -> None:
        self._library.tokens_free(self._tokens)

    def __len__(self) -> int:
        return self._library.tokens_count(self._tokens)

    def clear(self) -> None:
        """Forgets all tokens."""
        self._library.tokens_clear(self._tokens)

    def number(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray, list[str]] | None:
        """The number of each token, [tokens] int32, where those of each text begin, [texts + 1], and the new tokens.

        None for texts that hold the character that texts are joined with.
        """
        joined = END.join(texts)
        if joined.count(END) != len(texts) - 1:
            return None
        data = joined.encode("utf-8", "surrogatepass")
        size = len(data) + 1
        most = data.count(b" ") + len(texts)
        data += PADDING
        numbers, offsets = np.empty(most, dtype=np.int32), np.empty(len(texts) + 1, dtype=np.int64)
        begins, ends = np.empty(most, dtype=np.int64), np.empty(most, dtype=np.int64)
        known = len(self)
        pointers = [_pointer(array) for array in (numbers, offsets, begins, ends)]
        total = self._library.tokens_number(self._tokens, data, Integer(size), *pointers)
        if total < 0:
            raise MemoryError
        assert total == most
        new = len(self) - known
        spans = zip(begins[:new].tolist(), ends[:new].tolist(), strict=True)
        return numbers, offsets, [data[begin:end].decode("utf-8", "surrogatepass") for begin, end in spans]


def token_table(texts: int) -> TokenTable | None:
    """A table for calls with so many texts; None where there is no library for it, or none yet."""
    if texts < MANY_TEXTS:
        return None
    library = _library.loaded(wait=False)
    return None if library is None else TokenTable(library)


def collected(
    bag_ids: np.ndarray, bag_offsets: np.ndarray, numbers: np.ndarray, offsets: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The ids of each text, sorted: those of the bags of its tokens. Returns ids, int32, and their offsets, int64.

    `bag_ids`: int32, and `bag_offsets`: [bags + 1] int64, of all tokens. `numbers`: [tokens] int32, the bags.
    `offsets`: [texts + 1] int64, where the tokens of each text begin. Only for numbers of a `TokenTable`.
    """
    library = _library.loaded(wait=True)
    assert library is not None, "who has numbers has the library"
    library.place_ids.restype = Integer
    texts = Integer(len(offsets) - 1)
    placed = np.empty(len(offsets), dtype=np.int64)
    own = tuple(map(_pointer, (bag_offsets, numbers, offsets)))
    total = library.place_ids(*own, texts, _pointer(placed))
    ids = np.empty(total, dtype=np.int32)
    scratch = np.empty(int(np.diff(placed).max(initial=0)), dtype=np.int32)
    library.collect_ids(_pointer(bag_ids), *own, texts, *map(_pointer, (placed, ids, scratch)))
    return ids, placed


def sums(rows: np.ndarray, scales: np.ndarray | None, ids: np.ndarray, offsets: np.ndarray) -> np.ndarray | None:
    """The sum of the rows of each bag, [bags, dim] float32, as `askagain.models.table.Table.sums` says.

    `rows`: [rows, dim] float32, or int8 with `scales`. None where there is no library, or none yet; it is not called
    for few ids. Raises IndexError for an id without a row.
    """
    if len(ids) < MANY_IDS or str(rows.dtype) not in ("float32", "int8"):
        return None
    if not (ids.dtype == np.int32 and offsets.dtype == np.int64 and rows.flags.c_contiguous):
        return None
    library = _library.loaded(wait=False)
    if library is None:
        return None
    if ids.min() < 0 or ids.max() >= len(rows) or (np.diff(offsets) < 0).any() or offsets[0] < 0:
        raise IndexError("an id without a row")
    ids, offsets = np.ascontiguousarray(ids[: offsets[-1]]), np.ascontiguousarray(offsets)
    found = np.empty((len(offsets) - 1, rows.shape[1]), dtype=np.float32)
    function = getattr(library, f"sums_{rows.dtype}")
    scale = None if scales is None else _pointer(scales)
    arrays = (_pointer(ids), _pointer(offsets))
    function(_pointer(rows), scale, Integer(rows.shape[1]), *arrays, Integer(len(found)), _pointer(found))
    return found


def _pointer(array: np.ndarray) -> ctypes.c_void_p:
    assert array.flags.c_contiguous
    return ctypes.c_void_p(array.ctypes.data)
