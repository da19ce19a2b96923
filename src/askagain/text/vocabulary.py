"""The words an encoder knows, each with an index."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

from askagain.files.json_files import load_strings, write_json


class WordVocabulary:
    """Distinct words in a fixed order; the index of a word is its place in that order."""

    def __init__(self, words: Sequence[str]) -> None:
        self.words = list(words)

    @classmethod
    def from_counts(
        cls, words: Sequence[str], counts: np.ndarray, min_count: int = 1, max_size: int | None = None
    ) -> "WordVocabulary":
        """The words that occur at least `min_count` times, the `max_size` most frequent of them (None: all).

        `words` are distinct and `counts` [len(words)] says how often each occurs; equally frequent words keep the
        order in which they are given.
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
        """Word to index; the first one where a word is there twice."""
        return {word: i for i, word in reversed(list(enumerate(self.words)))}

    def indices(self, words: Sequence[str]) -> np.ndarray:
        """The index of each word, [len(words)] int64, -1 where the word is unknown."""
        index = self.index
        return np.fromiter((index.get(word, -1) for word in words), dtype=np.int64, count=len(words))

    def save(self, path: Path) -> None:
        """Writes the words as a JSON list."""
        write_json(path, self.words)

    @classmethod
    def load(cls, path: Path) -> "WordVocabulary":
        """Reads what `save` wrote; raises ValueError where it is something else."""
        return cls(load_strings(path))
