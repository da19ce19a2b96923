"""The words that an encoder knows, each with an index."""

import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

from askagain.files.json_files import distinct_strings, write_json


class WordVocabulary:
    """Distinct words; the index of a word is its place in the list."""

    def __init__(self, words: Sequence[str]) -> None:
        self.words = list(words)

    @classmethod
    def from_counts(
        cls, words: Sequence[str], counts: np.ndarray, min_count: int = 1, max_size: int | None = None
    ) -> "WordVocabulary":
        """The words that occur at least `min_count` times, the `max_size` most frequent ones (None: all).

        `words` are distinct; `counts`, [words], says how often each occurs. Equally frequent words keep their order.
        """
        order = np.argsort(-np.asarray(counts), kind="stable")
        order = order[np.asarray(counts)[order] >= min_count][:max_size]
        return cls([words[i] for i in order])

    def __len__(self) -> int:
        return len(self.words)

    def __contains__(self, word: object) -> bool:
        return word in self.index

    @cached_property
    def index(self) -> dict[str, int]:
        """The index of each word; the first one of a repeated word."""
        return {word: i for i, word in reversed(list(enumerate(self.words)))}

    def indices(self, words: Sequence[str]) -> np.ndarray:
        """The index of each word, [words] int64, -1 for unknown words."""
        index = self.index
        return np.fromiter((index.get(word, -1) for word in words), dtype=np.int64, count=len(words))

    def save(self, path: Path) -> None:
        write_json(path, self.words)

    @classmethod
    def load(cls, path: Path) -> "WordVocabulary":
        """Reads what `save` wrote; raises ValueError for anything else."""
        index = distinct_strings(json.loads(path.read_bytes()), path.name)
        vocabulary = cls(list(index))
        vocabulary.index = index
        return vocabulary
