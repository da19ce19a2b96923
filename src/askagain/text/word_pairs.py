"""Pairs of neighbouring words, which know what a bag of single words forgets: `hard disk` is not `disk hard`."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from askagain.text.bags import Bags, offsets_of

UNKNOWN = -1  # the number of a word that is not in the vocabulary
MERGED_AT = 1 << 22  # pairs counted between two merges: bounds the memory


class WordPairs:
    """A fixed set of pairs of words, each with an index; a word is its number in a vocabulary, `UNKNOWN` in no pair.

    `keys`: [pairs] int64, distinct and rising, the first word in the high half and the second in the low one; the index
    of a pair is its place there.
    """

    def __init__(self, keys: np.ndarray | None = None) -> None:
        self.keys = np.zeros(0, dtype=np.int64) if keys is None else np.asarray(keys, dtype=np.int64)

    @classmethod
    def from_texts(cls, texts: Iterable[Bags], min_count: int = 1, max_size: int | None = None) -> "WordPairs":
        """The pairs that occur at least `min_count` times, the `max_size` most frequent of them (None: all).

        `texts`: word numbers in their order, a bag a text, some texts at a time.
        """
        keys, counts = _counted(texts)
        kept = np.flatnonzero(counts >= min_count)
        kept = kept[np.argsort(-counts[kept], kind="stable")][:max_size]
        return cls(np.sort(keys[kept]))

    def __len__(self) -> int:
        return len(self.keys)

    def words(self, pair: int) -> tuple[int, int]:
        """The numbers of both words of a pair."""
        key = int(self.keys[pair])
        return key >> 32, key & 0xFFFFFFFF

    def indices(self, texts: Bags) -> Bags:
        """The indices of the known pairs of neighbours in each text, in order, repeats kept."""
        keys, text_of_pair = _neighbours(texts)
        if not len(self):
            return Bags(keys[:0], np.zeros(len(texts) + 1, dtype=np.int64))
        places = np.searchsorted(self.keys, keys)
        known = np.flatnonzero(self.keys.take(places, mode="clip") == keys)
        lengths = np.bincount(text_of_pair[known], minlength=len(texts))
        return Bags(places[known], offsets_of(lengths))

    def save(self, path: Path) -> None:
        """Writes the numbers of both words of each pair, [pairs, 2] int32."""
        words = np.stack([self.keys >> 32, self.keys & 0xFFFFFFFF], axis=1).astype(np.int32)
        save_file({"pairs": words}, path)

    @classmethod
    def load(cls, path: Path, words: int) -> "WordPairs":
        """Reads what `save` wrote; raises ValueError where it is no set of pairs of `words` words."""
        try:
            pairs = load_file(path)["pairs"].astype(np.int64)
        except (KeyError, SafetensorError) as error:
            raise ValueError(f"{path.name} does not hold pairs of words ({error})") from error
        if pairs.ndim != 2 or pairs.shape[1] != 2 or (pairs < 0).any() or (pairs >= words).any():
            raise ValueError(f"{path.name} does not hold pairs of words")
        keys = _key(pairs[:, 0], pairs[:, 1])
        if (np.diff(keys) <= 0).any():
            raise ValueError(f"{path.name} has a pair twice or out of order")
        return cls(keys)


def _key(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return (first.astype(np.int64) << 32) | second


def _neighbours(texts: Bags) -> tuple[np.ndarray, np.ndarray]:
    """The keys of all pairs of neighbouring known words, in order, and the text of each."""
    first, second = texts.ids[:-1], texts.ids[1:]
    text = np.repeat(np.arange(len(texts)), texts.lengths)
    kept = np.flatnonzero((text[:-1] == text[1:]) & (first != UNKNOWN) & (second != UNKNOWN))
    return _key(first[kept], second[kept]), text[kept]


def _counted(texts: Iterable[Bags]) -> tuple[np.ndarray, np.ndarray]:
    """The distinct keys, rising, and how often each occurs."""
    keys, counts = np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    waiting: list[np.ndarray] = []
    for some in texts:
        waiting.append(_neighbours(some)[0])
        if sum(map(len, waiting)) >= MERGED_AT:
            keys, counts = _merged(keys, counts, waiting)
            waiting = []
    return _merged(keys, counts, waiting)


def _merged(keys: np.ndarray, counts: np.ndarray, more: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    found, found_counts = np.unique(np.concatenate([keys[:0], *more]), return_counts=True)
    merged, places = np.unique(np.concatenate([keys, found]), return_inverse=True)
    return merged, np.bincount(places, np.concatenate([counts, found_counts]), minlength=len(merged)).astype(np.int64)
