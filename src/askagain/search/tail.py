"""The tail of an index: questions of its journal, which are in memory until they become a segment."""

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from askagain.search.nearest import MORE, Approximation, best_by_exact_vectors
from askagain.search.questions import Question
from askagain.search.segment import moments

if TYPE_CHECKING:
    from scipy.sparse import csc_array

    from askagain.models.lexical import LexicalRanker


class Tail:
    """Questions and their vectors, with what a `Segment` has; `extended` gives a longer one and leaves this one alone.

    Args:
        dim: of the vectors.
    """

    def __init__(self, dim: int) -> None:
        self._questions: list[Question] = []
        self._vectors = np.zeros((64, dim), dtype=np.float32)
        self._rows: dict[str, int] = {}  # the last one of each id
        self._terms: tuple[LexicalRanker, csc_array] | None = None
        self._count = 0

    def extended(self, questions: Sequence[Question], vectors: np.ndarray) -> "Tail":
        """A tail with further questions; `vectors`: [questions, dim] of length 1 or 0.

        Both share their memory, so that only the longest one may be extended.
        """
        longer = Tail.__new__(Tail)
        longer.__dict__.update({name: value for name, value in self.__dict__.items() if name != "moments"})
        longer._count = self._count + len(questions)
        if longer._count > len(self._vectors):
            longer._vectors = np.zeros((2 * longer._count, self._vectors.shape[1]), dtype=np.float32)
            longer._vectors[: self._count] = self._vectors[: self._count]
        longer._vectors[self._count : longer._count] = vectors
        self._questions += questions
        self._rows.update((question.id, self._count + place) for place, question in enumerate(questions))
        longer._terms = None
        return longer

    def __len__(self) -> int:
        return self._count

    @property
    def nearest(self) -> "Tail":
        """What is searched by vectors."""
        return self

    @property
    def approximation(self) -> Approximation | None:
        """None: all vectors are compared."""
        return None

    @cached_property
    def moments(self) -> np.ndarray:
        """See `Segment.moments`."""
        return moments(self._vectors[: self._count])

    def question(self, row: int) -> Question:
        return self._questions[row]

    def all_questions(self) -> list[Question]:
        return self._questions[: self._count]

    def rows_of(self, ids: Sequence[str]) -> dict[str, int]:
        """The last row of each of the ids that are here."""
        return {one: row for one in ids if (row := self._rows.get(one, self._count)) < self._count}

    def vectors(self, rows: np.ndarray) -> np.ndarray:
        return self._vectors[rows]

    def search(self, queries: np.ndarray, k: int, left_out: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See `NearestVectors.search`."""
        kept = np.flatnonzero(~left_out)
        k = min(k, len(kept))
        if not k or not len(queries):
            return np.full((len(queries), 0), -1), np.zeros((len(queries), 0), dtype=np.float32)
        products = queries @ self._vectors[: self._count].T
        wanted = min(k + MORE, len(kept))
        products[:, left_out] = -np.inf
        rows = np.argpartition(-products, wanted - 1, axis=1)[:, :wanted]
        return best_by_exact_vectors(self.vectors, queries, rows, k)

    def terms_of(self, ranker: "LexicalRanker") -> "csc_array":
        """What each term of a ranker adds to the score of each question, [questions, terms] float32."""
        from askagain.search.lexical_terms import term_scores

        if self._terms is None or self._terms[0] is not ranker:
            self._terms = ranker, term_scores(ranker, [question.encoded for question in self.all_questions()])
        return self._terms[1]
