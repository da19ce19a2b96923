"""Texts in C: tokens become numbers, their ids are collected, and rows are added up. It gives what Python gives."""

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from askagain.native.library import Library, pointer

END = "\0"  # of a text
PADDING = b"\0" * 16  # that may be read behind the last text
MANY_TEXTS = 256  # fewer are numbered in Python
COMPILED_AT = 2_000  # texts in a call; with fewer, what was compiled before is used
MANY_IDS = 4096  # fewer are added up in Python
COLLISIONS = -2  # as in the source, and so are the next ones
UNKNOWN, NOT_SIMPLE, DROPPED = -1, -2, -3

Integer = ctypes.c_int64
RESULTS = {"tokens_new": ctypes.c_void_p, **dict.fromkeys(("tokens_count", "tokens_number", "place_ids"), Integer)}
# Products are rounded, as numpy's are.
_library = Library(Path(__file__).with_name("texts.c"), ("-ffp-contract=off",), results=RESULTS)


class TokenTable:
    """Numbers distinct tokens, pieces between spaces, in the order of their first occurrence.

    Raises MemoryError where memory ends.
    """

    def __init__(self, library: ctypes.CDLL) -> None:
        self._library = library
        self._tokens = ctypes.c_void_p(library.tokens_new())
        if not self._tokens:
            raise MemoryError

    def __del__(self) -> None:
        self._library.tokens_free(self._tokens)

    def __len__(self) -> int:
        return self._library.tokens_count(self._tokens)

    @property
    def pointer(self) -> ctypes.c_void_p:
        """For calls of the library."""
        return self._tokens

    def clear(self) -> None:
        """Forgets all tokens."""
        self._library.tokens_clear(self._tokens)

    def number(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray, "NewTokens"] | None:
        """The number of each token, [tokens] int32, where those of each text begin, [texts + 1], and the new tokens.

        None for texts that it cannot number: they hold the character that texts are joined with, or tokens that were
        made to collide.
        """
        joined = END.join(texts)
        if joined.count(END) != max(0, len(texts) - 1):
            return None
        data = joined.encode("utf-8", "surrogatepass")
        size = len(data) + 1 if len(texts) else 0
        most = data.count(b" ") + len(texts)
        numbers, offsets = np.empty(most, dtype=np.int32), np.zeros(len(texts) + 1, dtype=np.int64)
        begins, ends = np.empty(most, dtype=np.int64), np.empty(most, dtype=np.int64)
        known = len(self)
        pointers = [pointer(array) for array in (numbers, offsets, begins, ends)]
        total = self._library.tokens_number(self._tokens, data + PADDING, Integer(size), *pointers)
        if total == COLLISIONS:
            return None
        if total != most:
            raise MemoryError
        new = len(self) - known
        return numbers, offsets, NewTokens(data, begins[:new], ends[:new])

    def collected(
        self, bag_ids: np.ndarray, bag_offsets: np.ndarray, numbers: np.ndarray, offsets: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """The ids of each text, sorted: those of the bags of its tokens. Returns ids, int32, and their offsets, int64.

        `bag_ids`: int32, and `bag_offsets`: [tokens of the table + 1] int64, the bag of each number. `numbers`,
        `offsets`: as `number` gave them.
        """
        return _collected(self._library, bag_ids, bag_offsets, numbers, offsets)


@dataclass(frozen=True, eq=False)
class NewTokens:
    """Tokens that a table numbered for the first time, as places in UTF-8; `begins`, `ends`: [tokens] int64."""

    data: bytes
    begins: np.ndarray
    ends: np.ndarray

    def __len__(self) -> int:
        return len(self.begins)

    def strings(self, places: np.ndarray | None = None) -> list[str]:
        """The tokens at `places` (None: all)."""
        begins, ends = (self.begins, self.ends) if places is None else (self.begins[places], self.ends[places])
        spans = zip(begins.tolist(), ends.tolist(), strict=True)
        return [self.data[begin:end].decode("utf-8", "surrogatepass") for begin, end in spans]


class WordTable:
    """Looks up the words of simple tokens, which are of ASCII letters and digits alone, without cleaning them.

    Args:
        words: of a vocabulary.
        others: that are not simple, though they look so, such as stop words and protected terms.
        lowercase: whether tokens become lower-case.
        shortest: letters that a word has at least.

    Raises ValueError for words that it cannot enter, and MemoryError where memory ends.
    """

    def __init__(
        self, library: ctypes.CDLL, words: Sequence[str], others: Sequence[str], lowercase: bool, shortest: int
    ) -> None:
        self._library = library
        self._tokens = TokenTable(library)
        self._settings = (int(lowercase), Integer(shortest))
        self._entered(others)
        self._others = len(self._tokens)
        numbers = self._entered(words)
        index = np.zeros(len(self._tokens), dtype=np.int32)
        simple = np.flatnonzero(numbers >= 0)[::-1]  # backwards: the first of a repeated word counts
        index[numbers[simple]] = simple
        self._index = index[self._others :]  # in `words`, of each number

    def _entered(self, words: Sequence[str]) -> np.ndarray:
        """Enters those words that are simple; the number of each word, [words] int32, or UNKNOWN."""
        data = "".join([word + END for word in words]).encode("utf-8", "surrogatepass")
        numbers = np.empty(data.count(END.encode()), dtype=np.int32)
        status = self._library.enter_words(self._tokens.pointer, data + PADDING, Integer(len(data)), pointer(numbers))
        if len(numbers) != len(words) or status == COLLISIONS:
            raise ValueError("words that hold the character that they end with, or that were made to collide")
        if status:
            raise MemoryError
        return numbers

    def find(self, tokens: NewTokens) -> np.ndarray:
        """The index of each token's word, [tokens] int32: `DROPPED` if it is too short, `UNKNOWN` or `NOT_SIMPLE`."""
        indices = np.empty(len(tokens), dtype=np.int32)
        spans = (tokens.data + PADDING, pointer(tokens.begins), pointer(tokens.ends), Integer(len(tokens)))
        table = (self._tokens.pointer, Integer(self._others))
        self._library.find_words(*table, *spans, *self._settings, pointer(indices))
        known = indices >= 0
        indices[known] = self._index[indices[known]]
        return indices


def word_table(words: Sequence[str], others: Sequence[str], lowercase: bool, shortest: int) -> WordTable | None:
    """See `WordTable`; None where there is no library, or none yet, and for words that it cannot enter."""
    library = _library.loaded(wait=False, may_compile=False)
    if library is None:
        return None
    try:
        return WordTable(library, words, others, lowercase, shortest)
    except ValueError:
        return None


def token_table(texts: int) -> TokenTable | None:
    """A table for calls with so many texts; None where there is no library for it, or none yet."""
    if texts < MANY_TEXTS:
        return None
    library = _library.loaded(wait=False, may_compile=texts >= COMPILED_AT)
    return None if library is None else TokenTable(library)


def start() -> None:
    """Begins to compile or to load it, beside other work."""
    _library.start()


def collected(
    bag_ids: np.ndarray, bag_offsets: np.ndarray, numbers: np.ndarray, offsets: np.ndarray
) -> tuple[np.ndarray, np.ndarray] | None:
    """What `TokenTable.collected` returns, for tokens that were numbered elsewhere.

    None where there is no library for so many, or none yet. Raises IndexError for a token without a bag.
    """
    library = _library.loaded(wait=False, may_compile=len(offsets) > COMPILED_AT)
    arrays = (bag_ids, bag_offsets, numbers, offsets)
    if library is None or [array.dtype.str for array in arrays] != ["<i4", "<i8", "<i4", "<i8"]:
        return None
    if len(numbers) and (numbers.min() < 0 or numbers.max() >= len(bag_offsets) - 1):
        raise IndexError("a token without a bag")
    return _collected(library, *map(np.ascontiguousarray, arrays))


def _collected(
    library: ctypes.CDLL, bag_ids: np.ndarray, bag_offsets: np.ndarray, numbers: np.ndarray, offsets: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    texts = Integer(len(offsets) - 1)
    placed = np.empty(len(offsets), dtype=np.int64)
    tokens = [pointer(array) for array in (bag_offsets, numbers, offsets)]
    ids = np.empty(library.place_ids(*tokens, texts, pointer(placed)), dtype=np.int32)
    scratch = np.empty(int(np.diff(placed).max(initial=0)), dtype=np.int32)
    outputs = [pointer(array) for array in (placed, ids, scratch)]
    library.collect_ids(pointer(bag_ids), *tokens, texts, *outputs)
    return ids, placed


def sums(rows: np.ndarray, scales: np.ndarray | None, ids: np.ndarray, offsets: np.ndarray) -> np.ndarray | None:
    """The sum of the rows of each bag, [bags, dim] float32, as `askagain.models.table.Table.sums` says.

    `rows`: [rows, dim] float32, or int8 with `scales`. `ids`, `offsets`: see `Bags`. None for few ids, for what the
    library does not do, and where there is none, or none yet. Raises IndexError for an id without a row.
    """
    if len(ids) < MANY_IDS or str(rows.dtype) not in ("float32", "int8"):
        return None
    arrays = [rows, ids, offsets] if scales is None else [rows, ids, offsets, scales]
    if not all(array.flags.c_contiguous and array.flags.aligned for array in arrays):
        return None
    library = _library.loaded(wait=False, may_compile=False)
    if library is None or ids.dtype != np.int32 or offsets.dtype != np.int64:
        return None
    if offsets[0] < 0 or offsets[-1] > len(ids) or (np.diff(offsets) < 0).any():
        raise IndexError("bags that are not in order")
    if ids.min() < 0 or ids.max() >= len(rows):
        raise IndexError("an id without a row")
    vectors = np.empty((len(offsets) - 1, rows.shape[1]), dtype=np.float32)
    inputs = (pointer(rows), None if scales is None else pointer(scales), Integer(rows.shape[1]))
    bags = (pointer(ids), pointer(offsets), Integer(len(vectors)))
    getattr(library, f"sums_{rows.dtype}")(*inputs, *bags, pointer(vectors))
    return vectors
