"""Letter n-grams, which give even words never seen before a vector."""

import json
from collections import Counter
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from zlib import crc32

import numpy as np

from askagain.errors import InputError
from askagain.files.json_files import distinct_strings, write_json
from askagain.text.bags import Bags, counted_up, offsets_of

TRIGRAMS = (3,)
SHORTEST, LONGEST = 2, 8  # letters; longer n-grams are nearly whole words
MOST_BUCKETS = 2**30  # feature ids are 32-bit, with words and pairs beside the n-grams
LETTER_BITS = 21  # of any Unicode letter; three of them fit into 64 bits
MULTIPLIER = 0x9E3779B97F4A7C15  # odd, with well mixed bits; hashes n-grams of more letters
WORDS_PER_BLOCK = 1 << 17  # whose n-grams are looked at together; bounds the memory
NGRAMS_FILE = "ngrams.json"


def letter_ngrams(word: str, sizes: Sequence[int] = TRIGRAMS) -> list[str]:
    """The letter n-grams of `#word#`, one size after the other: the trigrams of `where` are `#wh whe her ere re#`.

    Source: word hashing in Huang et al., "Learning Deep Structured Semantic Models for Web Search using Clickthrough
    Data", CIKM 2013.
    """
    marked = f"#{word}#"
    return [marked[i : i + size] for size in sizes for i in range(len(marked) - size + 1)]


def check_ngrams(sizes: Sequence[int], buckets: int | None) -> None:
    """Raises InputError for sizes or a number of buckets out of range."""
    if not sizes or len(set(sizes)) < len(sizes) or not all(SHORTEST <= size <= LONGEST for size in sizes):
        raise InputError(
            f"ngram_sizes={list(sizes)}: must be different whole numbers from {SHORTEST} to {LONGEST}, such as [3,4]"
        )
    if buckets is not None and not 1 <= buckets <= MOST_BUCKETS:
        raise InputError(
            f"ngram_buckets={buckets}: must be from 1 to {MOST_BUCKETS}, or null for the n-grams of the texts"
        )


class NgramTokenizer:
    """Letter n-grams of certain `sizes`, each with an index.

    Without `buckets`, only the n-grams in `ngrams` are known, and others are skipped. With `buckets`, the index of an
    n-gram is its CRC-32 modulo that number: all are known, and different ones may share an index.
    Source: hashed n-grams in Bojanowski et al., "Enriching Word Vectors with Subword Information", TACL 2017.
    """

    def __init__(self, ngrams: Sequence[str] = (), sizes: Sequence[int] = TRIGRAMS, buckets: int | None = None) -> None:
        self.ngrams = list(ngrams)
        self.sizes = tuple(sizes)
        self.buckets = buckets

    @classmethod
    def from_words(
        cls,
        words: Sequence[str],
        max_size: int | None = None,
        sizes: Sequence[int] = TRIGRAMS,
        buckets: int | None = None,
    ) -> "NgramTokenizer":
        """The n-grams of distinct `words`, the `max_size` most frequent ones (None: all); `buckets` ignore words."""
        if buckets is not None:
            return cls(sizes=sizes, buckets=buckets)
        counts: Counter[str] = Counter()
        for start in range(0, len(words), WORDS_PER_BLOCK):
            counts.update(_counted([f"#{word}#" for word in words[start : start + WORDS_PER_BLOCK]], sizes))
        return cls([ngram for ngram, _ in counts.most_common(max_size)], sizes)

    @property
    def vocab_size(self) -> int:
        return len(self.ngrams) if self.buckets is None else self.buckets

    @cached_property
    def index(self) -> dict[str, int]:
        """The index of each n-gram that is not hashed."""
        return {ngram: i for i, ngram in enumerate(self.ngrams)}

    def indices(self, word: str) -> list[int]:
        """The indices of the known n-grams of a word, in order, repeats kept."""
        return self.ngram_indices(letter_ngrams(word, self.sizes))

    def ngram_indices(self, ngrams: Sequence[str]) -> list[int]:
        """The indices of those n-grams that are known, in order, repeats kept."""
        buckets = self.buckets
        if buckets is not None:
            # A string may hold a lone surrogate, which UTF-8 files cannot.
            return [crc32(ngram.encode("utf-8", "surrogatepass")) % buckets for ngram in ngrams]
        index = self.index
        return [index[ngram] for ngram in ngrams if ngram in index]

    def bags(self, words: Sequence[str]) -> Bags:
        """One bag of `indices` for each word, computed for all words at once.

        N-grams are looked up by 64-bit keys. The keys of up to three letters are unique; among n longer n-grams, the
        chance that an unknown one is taken for one of k known ones is n k / 2^64.
        """
        if self.buckets is not None:
            return Bags.from_lists([self.indices(word) for word in words])
        parts = []
        for start in range(0, max(1, len(words)), WORDS_PER_BLOCK):
            letters, offsets = _letters([f"#{word}#" for word in words[start : start + WORDS_PER_BLOCK]])
            parts.append(Bags.side_by_side([self._known_ngrams(letters, offsets, size) for size in self.sizes]))
        return Bags.concatenated(parts)

    def _known_ngrams(self, letters: np.ndarray, offsets: np.ndarray, size: int) -> Bags:
        """The known n-grams of one size in words given as letters, see `_letters`."""
        lengths, starts = _ngram_starts(offsets, size)
        keys = _keys(letters, starts, size)
        known_keys, indices = self._by_key[size]
        if not len(known_keys):
            return Bags(indices, np.zeros(len(offsets), dtype=np.int64))
        places = np.searchsorted(known_keys, keys)
        known = np.flatnonzero(known_keys.take(places, mode="clip") == keys)
        word = np.repeat(np.arange(len(lengths)), lengths)[known]
        return Bags(indices[places[known]], offsets_of(np.bincount(word, minlength=len(lengths))))

    @cached_property
    def _by_key(self) -> dict[int, tuple[np.ndarray, np.ndarray]]:
        """By size, the sorted keys of the known n-grams and their indices."""
        tables = {}
        for size in self.sizes:
            indices = np.array([i for i, ngram in enumerate(self.ngrams) if len(ngram) == size], dtype=np.int32)
            letters, offsets = _letters([self.ngrams[i] for i in indices])
            keys = _keys(letters, offsets[:-1], size)
            order = np.argsort(keys)
            tables[size] = keys[order], indices[order]
        return tables

    def name(self, index: int) -> str:
        """The name of an index: `[dis]`, or `[bucket 123]`."""
        return f"[bucket {index}]" if self.buckets is not None else f"[{self.ngrams[index]}]"

    def save(self, folder: Path) -> None:
        """Writes sizes, buckets and known n-grams as `ngrams.json`."""
        settings = {"sizes": list(self.sizes), "buckets": self.buckets, "ngrams": self.ngrams}
        write_json(folder / NGRAMS_FILE, settings)

    @classmethod
    def load(cls, folder: Path) -> "NgramTokenizer":
        """Reads what `save` wrote; raises ValueError for anything else."""
        path = folder / NGRAMS_FILE
        settings = json.loads(path.read_bytes())
        if not isinstance(settings, dict) or set(settings) != {"sizes", "buckets", "ngrams"}:
            raise ValueError(f"{path.name} does not hold letter n-grams")
        sizes, buckets = settings["sizes"], settings["buckets"]
        if not isinstance(sizes, list) or not all(map(_whole, sizes)) or not (buckets is None or _whole(buckets)):
            raise ValueError(f"{path.name} does not hold letter n-grams")
        try:
            check_ngrams(sizes, buckets)
        except InputError as error:
            raise ValueError(f"{path.name}: {error}") from error
        return cls(list(distinct_strings(settings["ngrams"], path.name)), sizes, buckets)


def _counted(strings: Sequence[str], sizes: Sequence[int]) -> dict[str, int]:
    """How often each n-gram occurs, in the order of their first occurrences.

    One string is gone through after the other, and in it one size after the other.
    """
    letters, offsets = _letters(strings)
    by_size = [_ngram_starts(offsets, size) for size in sizes]
    before = offsets_of(np.sum([lengths for lengths, _ in by_size], axis=0))[:-1]  # n-grams before those of each string
    columns: list[list[np.ndarray]] = [[], [], [], []]
    for size, (lengths, starts) in zip(sizes, by_size, strict=True):
        _, firsts, counts = np.unique(_keys(letters, starts, size), return_index=True, return_counts=True)
        places = np.repeat(before - offsets_of(lengths)[:-1], lengths)[firsts] + firsts
        before = before + lengths
        for column, values in zip(columns, (counts, places, starts[firsts], np.full(len(firsts), size)), strict=True):
            column.append(values)
    counts, places, starts, widths = map(np.concatenate, columns)
    order, joined = np.argsort(places), "".join(strings)
    columns_in_order = (column[order].tolist() for column in (starts, widths, counts))
    return {joined[start : start + width]: count for start, width, count in zip(*columns_in_order, strict=True)}


def _ngram_starts(offsets: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """How many n-grams of a size each string has, [strings], and where each begins, [n-grams]; see `_letters`."""
    lengths = np.maximum(np.diff(offsets) - (size - 1), 0)
    return lengths, np.repeat(offsets[:-1], lengths) + counted_up(lengths)


def _letters(strings: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """The letters of all strings as code points, and the offsets of the strings."""
    lengths = np.fromiter(map(len, strings), dtype=np.int64, count=len(strings))
    encoded = "".join(strings).encode("utf-32-le", "surrogatepass")
    return np.frombuffer(encoded, dtype=np.uint32).astype(np.uint64), offsets_of(lengths)


def _keys(letters: np.ndarray, starts: np.ndarray, size: int) -> np.ndarray:
    """The key of the `size` letters at each start, [starts] uint64."""
    multiplier = np.uint64(1 << LETTER_BITS if size * LETTER_BITS <= 64 else MULTIPLIER)
    keys = np.zeros(len(starts), dtype=np.uint64)
    for i in range(size):
        keys *= multiplier
        keys += letters[starts + i]
    return keys


def _whole(value: object) -> bool:
    return type(value) is int
