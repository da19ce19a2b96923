"""Scores as products of vectors, dense or sparse, so that equal candidates get equal scores."""

from typing import TYPE_CHECKING, TypeAlias

import numpy as np

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


def _widen(rows: "csr_array", width: int) -> "csr_array":
    return type(rows)((rows.data, rows.indices, rows.indptr), shape=(rows.shape[0], width))
