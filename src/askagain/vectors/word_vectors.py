"""Word vectors in memory, with nearest words, analogies and the odd one out by cosine."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from askagain.errors import InputError
from askagain.text.vocabulary import WordVocabulary

SIMILARITIES_PER_BLOCK = 1 << 23  # 32 MiB of float32


@dataclass(frozen=True, eq=False)
class WordVectors:
    """Words and their vectors; row i of `table` belongs to `words[i]`.

    `words`: the most frequent first where the source has that order. `table`: [words, dim] float32, may be
    memory-mapped. `name`: of the vectors in reports.
    """

    words: list[str]
    table: np.ndarray
    name: str

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

    def rows(self, words: Sequence[str]) -> np.ndarray:
        """The row of each word, [words] int64, -1 for unknown words."""
        return self.vocabulary.indices(words)

    def nearest(
        self, vector: np.ndarray, count: int, exclude: Collection[str] = frozenset()
    ) -> list[tuple[str, float]]:
        """The `count` words with the highest cosine to `vector`, [dim], best first, without those in `exclude`."""
        words = self.nearest_many(np.asarray(vector)[None, :], count + len(exclude))[0]
        return [(word, cosine) for word, cosine in words if word not in exclude][:count]

    def nearest_many(
        self, vectors: np.ndarray, count: int, similarities_per_block: int = SIMILARITIES_PER_BLOCK
    ) -> list[list[tuple[str, float]]]:
        """For each of `vectors`, [n, dim], the `count` words with the highest cosine, best first.

        A zero vector has cosine 0 to everything. `similarities_per_block` bounds the memory.
        """
        queries = _unit(np.asarray(vectors, dtype=np.float32))  # [n, dim]
        step = max(1, similarities_per_block // max(1, len(self)))
        nearest: list[list[tuple[str, float]]] = []
        for start in range(0, len(queries), step):
            cosines = queries[start : start + step] @ self.table.T  # [step, n_words]
            cosines *= self._inverse_norms
            nearest.extend(self._best(row, count) for row in cosines)
        return nearest

    def analogy(self, positive: Sequence[str], negative: Sequence[str], count: int) -> list[tuple[str, float]]:
        """The `count` words nearest to the sum of the unit vectors of `positive` minus those of `negative`.

        The words of the question are no answers. Raises InputError for an unknown word. Source: Mikolov et al.,
        "Linguistic Regularities in Continuous Space Word Representations", NAACL 2013.
        """
        if not positive and not negative:
            raise InputError("an analogy needs at least one word: name words in positive or negative")
        target = self._unit_vectors(positive).sum(axis=0) - self._unit_vectors(negative).sum(axis=0)  # [dim]
        return self.nearest(target, count, exclude={*positive, *negative})

    def odd_one_out(self, words: Sequence[str]) -> str:
        """The word with the lowest cosine to the mean of the words' unit vectors.

        Raises InputError for an unknown word and for fewer than three words.
        """
        if len(words) < 3:
            raise InputError(f"the odd one out of {len(words)} words is no question: name at least three")
        units = self._unit_vectors(words)  # [len(words), dim]
        return words[int(np.argmin(units @ units.mean(axis=0)))]

    def most_similar_among(self, word: str, words: Sequence[str]) -> str:
        """The one of `words` with the highest cosine to `word`; raises InputError for an unknown word or no words."""
        if not words:
            raise InputError(f"there is nothing to compare '{word}' with: name at least one word")
        return words[int(np.argmax(self._unit_vectors(words) @ self._unit_vectors([word])[0]))]

    @cached_property
    def _inverse_norms(self) -> np.ndarray:
        """1 / length of each vector, [words] float32; 0 for a zero row."""
        norms = np.sqrt(np.einsum("ij,ij->i", self.table, self.table))
        return np.divide(1.0, norms, out=np.zeros_like(norms), where=norms > 0)

    def _best(self, cosines: np.ndarray, count: int) -> list[tuple[str, float]]:
        count = min(count, len(cosines))
        if count <= 0:
            return []
        candidates = np.sort(np.argpartition(-cosines, count - 1)[:count])
        best = candidates[np.argsort(-cosines[candidates], kind="stable")]
        return [(self.words[row], float(cosines[row])) for row in best]

    def _unit_vectors(self, words: Sequence[str]) -> np.ndarray:
        rows = self.rows(words)
        unknown = [word for word, row in zip(words, rows, strict=True) if row < 0]
        if unknown:
            raise InputError(f"{self.name} does not know {self._listed(unknown)}: leave out or choose other vectors")
        return _unit(self.table[rows])

    def _listed(self, unknown: Sequence[str]) -> str:
        return ", ".join(
            f"'{word}' (but '{word.lower()}')" if word.lower() in self else f"'{word}'"
            for word in dict.fromkeys(unknown)
        )


def _unit(vectors: np.ndarray) -> np.ndarray:
    """The rows of `vectors`, [n, dim], at length 1; zero rows stay zero."""
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.divide(vectors, norms, out=np.zeros_like(vectors), where=norms > 0)
