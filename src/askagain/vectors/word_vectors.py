"""Word vectors in memory."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from askagain.text.vocabulary import WordVocabulary

if TYPE_CHECKING:
    from gensim.models import KeyedVectors


@dataclass(frozen=True, eq=False)
class WordVectors:
    """Words and their vectors; row i of `table` belongs to `words[i]`.

    `words`: the most frequent first where the source has that order. `table`: [words, dim] float32, may be
    memory-mapped. `name`: of the vectors in reports. `rows_as_written`: the row of each word that the source spells
    with other characters than `cleaned` leaves, by the source's spelling.
    """

    words: list[str]
    table: np.ndarray
    name: str
    rows_as_written: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.table.ndim != 2 or len(self.words) != len(self.table):
            raise ValueError(f"{len(self.words)} words do not fit a table of shape {self.table.shape}")

    def __len__(self) -> int:
        return len(self.words)

    def __contains__(self, word: object) -> bool:
        return word in self.vocabulary

    @property
    def dim(self) -> int:
        return int(self.table.shape[1])

    @cached_property
    def vocabulary(self) -> WordVocabulary:
        """The words as a vocabulary: the index of a word is its row in the table."""
        return WordVocabulary(self.words)

    def in_both_spellings(self) -> "WordVectors":
        """The vectors with a further row for each word as the source spells it, for texts that are not cleaned."""
        if not self.rows_as_written:
            return self
        table = np.concatenate([self.table, self.table[list(self.rows_as_written.values())]])
        return WordVectors([*self.words, *self.rows_as_written], table, self.name)

    def rows(self, words: Sequence[str]) -> np.ndarray:
        """The row of each word, [words] int64, -1 for unknown words."""
        return self.vocabulary.indices(words)

    @cached_property
    def keyed(self) -> "KeyedVectors":
        """The same vectors for gensim's questions, such as `keyed.most_similar("disk")`; the table is not copied."""
        from gensim.models import KeyedVectors

        keyed = KeyedVectors(self.dim)
        keyed.vectors, keyed.index_to_key, keyed.key_to_index = self.table, self.words, self.vocabulary.index
        norms = np.sqrt(np.einsum("ij,ij->i", self.table, self.table))
        keyed.norms = np.maximum(norms, np.finfo(np.float32).tiny)  # a zero row has cosine 0
        return keyed
