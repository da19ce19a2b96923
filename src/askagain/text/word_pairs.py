"""Pairs of neighbouring words, which keep the order that a bag of words loses: `hard disk` is not `disk hard`."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from askagain.text.bags import Bags, offsets_of

UNKNOWN = -1  # the index of a word that is not in the vocabulary
MERGED_AT = 1 << 22  # pairs counted between two merges; bounds the memory


class WordPairs:
    """Known pairs of words, each with an index. Words are indices in a vocabulary; `UNKNOWN` words form no pairs.

    `keys`: [pairs] int64, distinct and sorted, with the first word in the high half and the second in the low half. The
    index of a pair is the place of its key.
    """

    def __init__(self, keys: np.ndarray | None = None) -> None:
        self.keys = np.zeros(0, dtype=np.int64) if keys is None else np.asarray(keys, dtype=np.int64)

    @classmethod
    def from_texts(
        cls, texts: Iterable[Bags], min_count: int = 1, max_size: int | None = None, merged_at: int = MERGED_AT
    ) -> "WordPairs":
        """The pairs that occur at least `min_count` times, the `max_size` most frequent ones (None: all).

        `texts`: blocks of texts, each a bag of word indices in the order of the text. `merged_at`: pairs counted
        between two merges; bounds the memory.
        """
        keys, counts = _count(texts, merged_at)
        kept = np.flatnonzero(counts >= min_count)
        kept = kept[np.argsort(-counts[kept], kind="stable")][:max_size]
        return cls(np.sort(keys[kept]))

    def __len__(self) -> int:
        return len(self.keys)

    def words(self, pair: int) -> tuple[int, int]:
        """The indices of both words of a pair."""
        key = int(self.keys[pair])
        return key >> 32, key & 0xFFFFFFFF

    def second_words(self) -> np.ndarray:
        """The index of the second word of each pair, [pairs] int64."""
        return self.keys & 0xFFFFFFFF

    def indices(self, texts: Bags) -> Bags:
        """The indices of the known pairs of neighbours in each text, in order and with repeats."""
        keys, text_of_pair = _neighbours(texts)
        if not len(self):
            return Bags(keys[:0], np.zeros(len(texts) + 1, dtype=np.int64))
        places = np.searchsorted(self.keys, keys)
        known = np.flatnonzero(self.keys.take(places, mode="clip") == keys)
        lengths = np.bincount(text_of_pair[known], minlength=len(texts))
        return Bags(places[known], offsets_of(lengths))

    def save(self, path: Path) -> None:
        """Writes the indices of both words of each pair, [pairs, 2] int32."""
        words = np.stack([self.keys >> 32, self.keys & 0xFFFFFFFF], axis=1).astype(np.int32)
        save_file({"pairs": words}, path)

    @classmethod
    def load(cls, path: Path, words: int) -> "WordPairs":
        """Reads what `save` wrote; raises ValueError for anything but pairs from a vocabulary of `words` words."""
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
    """The keys of all pairs of neighbouring known words in order, and the text of each pair."""
    first, second = texts.ids[:-1], texts.ids[1:]
    text = np.repeat(np.arange(len(texts)), texts.lengths)
    kept = np.flatnonzero((text[:-1] == text[1:]) & (first != UNKNOWN) & (second != UNKNOWN))
    return _key(first[kept], second[kept]), text[kept]


def _count(texts: Iterable[Bags], merged_at: int) -> tuple[np.ndarray, np.ndarray]:
    """The distinct keys, sorted, and how often each occurs."""
    keys, counts = np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    waiting: list[np.ndarray] = []
    for block in texts:
        waiting.append(_neighbours(block)[0])
        if sum(map(len, waiting)) >= merged_at:
            keys, counts = _merge(keys, counts, waiting)
            waiting = []
    return _merge(keys, counts, waiting)


def _merge(keys: np.ndarray, counts: np.ndarray, more: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    new, new_counts = np.unique(np.concatenate([keys[:0], *more]), return_counts=True)
    merged, places = np.unique(np.concatenate([keys, new]), return_inverse=True)
    return merged, np.bincount(places, np.concatenate([counts, new_counts]), minlength=len(merged)).astype(np.int64)
