"""Ranks the duplicate among the candidates of its row, with exact ties."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from askagain.files.in_order import in_order
from askagain.files.progress import counted_progress, with_progress
from askagain.models.bag_encoder import unit_vectors
from askagain.native import ranks as native
from askagain.ranking.products import SparseScores

if TYPE_CHECKING:  # it takes long to import, and a training begins without
    from scipy.sparse import csr_array

ROWS_PER_BLOCK = 256
PAIRS_COMPARED = 1 << 14  # pairs of vectors compared value by value at a time: bounds the memory
ROUNDING = 1e-4  # the products of equal unit vectors differ by far less


@dataclass(frozen=True, eq=False)
class Ranks:
    """How many candidates score `above` each duplicate, and how many are `tied` with it; [duplicates] int64.

    `row`: the query of each duplicate where queries may have several, which are candidates for each other; every query
    from 0 on has at least one. None where each query has exactly one.
    """

    above: np.ndarray
    tied: np.ndarray
    row: np.ndarray | None = None

    @property
    def expected(self) -> np.ndarray:
        """The rank, counted from 1 and averaged over all orders of the tied; [duplicates] float64."""
        return self.above + self.tied / 2 + 1


def rank_duplicates(
    vectors: np.ndarray, ids: np.ndarray, offsets: np.ndarray, rows_per_block: int = ROWS_PER_BLOCK
) -> Ranks:
    """Ranks the duplicate of every row among the candidates of its row by cosine.

    A zero vector has similarity 0 to everything. A candidate whose vector equals the duplicate's bit for bit is tied
    with it, whatever the rounding of the products.

    Args:
        vectors: [texts, dim] float32, one for each distinct text.
        ids: indices of texts; row `r` is `ids[offsets[r]:offsets[r + 1]]`: the question, its duplicate, then at least
            one negative.
        offsets: [rows + 1].
        rows_per_block: rows whose scores are compared together; bounds the memory.

    Raises:
        InputError: a vector has a value that is not finite.
    """
    units = unit_vectors(vectors)  # [texts, dim]
    rows = len(offsets) - 1
    negatives = int(np.diff(offsets).max(initial=2)) - 2
    is_native = native.leads(units, ids[:0], offsets[:1], negatives, wait=len(ids) >= native.COMPILED_AT) is not None

    def ranked(start: int) -> tuple[np.ndarray, np.ndarray]:
        block = offsets[start : min(start + rows_per_block, rows) + 1]
        texts, own = ids[block[0] : block[-1]], block - block[0]
        leads = native.leads(units, texts, own, negatives, wait=False) if is_native else None
        return _above_and_tied(units, texts, own, _leads(units, texts, own, negatives) if leads is None else leads)

    starts = counted_progress(range(0, rows, rows_per_block), rows, rows_per_block, "ranking")
    # PyTorch has threads of its own.
    blocks = [(np.zeros(0, dtype=np.int64),) * 2, *(in_order(ranked, starts) if is_native else map(ranked, starts))]
    above, tied = map(np.concatenate, zip(*blocks, strict=True))
    return Ranks(above, tied)


def rank_sparse(questions: "csr_array", candidates: "csr_array", ids: np.ndarray, offsets: np.ndarray) -> Ranks:
    """Like `rank_duplicates` for rankers that count terms: scores are products of sparse rows.

    `questions`, `candidates`: [texts, terms], each distinct text weighted as a question and as a candidate.
    """
    above = np.zeros(len(offsets) - 1, dtype=np.int64)
    tied = np.zeros(len(offsets) - 1, dtype=np.int64)
    scored = SparseScores(questions, candidates)
    for row in with_progress(range(len(above)), len(above), "ranking"):
        texts = ids[offsets[row] : offsets[row + 1]]
        scores = scored(texts[0], texts[1:])
        above[row], tied[row] = (scores[1:] > scores[0]).sum(), (scores[1:] == scores[0]).sum()
    return Ranks(above, tied)


def rank_scores(rows: Sequence[np.ndarray]) -> Ranks:
    """The ranks of the first candidate of each row among all of its row, from their scores."""
    above = [int((scores[1:] > scores[0]).sum()) for scores in rows]
    tied = [int((scores[1:] == scores[0]).sum()) for scores in rows]
    return Ranks(np.array(above, dtype=np.int64), np.array(tied, dtype=np.int64))


def level_starts(row: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """The places where another query or another score begins, in arrays sorted by both."""
    begins = np.ones(len(row), dtype=bool)
    begins[1:] = (row[1:] != row[:-1]) | (scores[1:] != scores[:-1])
    return np.flatnonzero(begins)


def _leads(units: np.ndarray, ids: np.ndarray, offsets: np.ndarray, negatives: int) -> np.ndarray:
    """By how much each negative scores above the duplicate, [rows, negatives], minus infinity where there is none."""
    import torch

    table, texts = torch.from_numpy(units), torch.from_numpy(ids.astype(np.int64))
    leads = table.new_full((len(offsets) - 1, negatives), float("-inf"))
    gathered = table.new_empty(1 + negatives, units.shape[1])  # the candidates of one row
    for lead, row in zip(leads, texts.split(np.diff(offsets).tolist()), strict=True):
        # The candidates of one row fit into the processor's cache, those of many rows do not.
        candidates = torch.index_select(table, 0, row[1:], out=gathered[: len(row) - 1])
        scores = candidates @ table[row[0]]  # cosines
        lead[: len(row) - 2] = scores[1:] - scores[0]
    return leads.numpy()


def _above_and_tied(
    units: np.ndarray, ids: np.ndarray, offsets: np.ndarray, leads: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """How many negatives of each row lead over its duplicate, and how many are tied with it; [rows] int64 each."""
    near = np.argwhere(np.abs(leads) < ROUNDING)
    for start in range(0, len(near), PAIRS_COMPARED):
        row, column = near[start : start + PAIRS_COMPARED].T
        first = offsets[row]
        equal = (units[ids[first + 2 + column]] == units[ids[first + 1]]).all(axis=1)
        leads[row[equal], column[equal]] = 0
    return (leads > 0).sum(axis=1), (leads == 0).sum(axis=1)
