"""Scores as products of vectors, dense or sparse, so that equal candidates get equal scores."""

from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from askagain.native import terms as native

if TYPE_CHECKING:  # it takes long to import, and a training begins without
    from scipy.sparse import csr_array

# [n, dim] float32 of length 1 or 0, or [n, terms] float64 with indices in rising order.
Vectors: TypeAlias = "np.ndarray | csr_array"


def products(questions: Vectors, candidates: Vectors) -> np.ndarray:
    """The score of each question with each candidate, [questions, candidates].

    Sparse rows may differ in width: missing columns count as zero. Their terms are added in the order of columns,
    whatever else is in the batch, so that equal candidates get the same score to the last bit.
    """
    if isinstance(questions, np.ndarray):
        return questions @ candidates.T
    width = max(questions.shape[1], candidates.shape[1])
    return (_widen(questions, width) @ _widen(candidates, width).T).toarray()


class SparseScores:
    """The scores of one question at a time with some candidates: those of `products`, to the last bit.

    Args:
        questions: Sparse rows.
        candidates: Sparse rows, likewise; they may differ in width.
    """

    def __init__(self, questions: "csr_array", candidates: "csr_array") -> None:
        self._questions, self._candidates = questions, candidates
        self._in_c = native.row_products(questions, candidates)
        self._weights = np.zeros(max(questions.shape[1], candidates.shape[1]))  # of the terms of one question

    def __call__(self, question: int, chosen: np.ndarray) -> np.ndarray:
        """The scores, [chosen], of a question with the candidates at `chosen`, both by their rows."""
        if self._in_c is not None:
            return self._in_c(question, chosen)
        begins, ends = self._candidates.indptr[chosen], self._candidates.indptr[chosen + 1]
        lengths = ends - begins
        places = np.arange(lengths.sum()) + np.repeat(ends - lengths.cumsum(), lengths)
        asked = slice(*self._questions.indptr[question : question + 2].tolist())
        terms = self._questions.indices[asked]
        self._weights[terms] = self._questions.data[asked]
        added = self._weights[self._candidates.indices[places]] * self._candidates.data[places]
        self._weights[terms] = 0
        # It adds one after the other, in the order of columns; terms that the question lacks add nothing.
        return np.bincount(np.repeat(np.arange(len(chosen)), lengths), weights=added, minlength=len(chosen))


def _widen(rows: "csr_array", width: int) -> "csr_array":
    return type(rows)((rows.data, rows.indices, rows.indptr), shape=(rows.shape[0], width))
