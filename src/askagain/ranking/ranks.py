"""Ranks the duplicate among the candidates of its row, with exact ties."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csr_array

from askagain.files.progress import counted_progress, with_progress
from askagain.models.bag_encoder import unit_vectors
from askagain.ranking.products import products

if TYPE_CHECKING:  # ranks that are there already are read without PyTorch
    import torch

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
    import torch

    units = torch.from_numpy(unit_vectors(vectors))  # [texts, dim]
    lengths = np.diff(offsets)
    above = np.zeros(len(lengths), dtype=np.int64)
    tied = np.zeros(len(lengths), dtype=np.int64)
    gathered = units.new_empty(int(lengths.max(initial=1)) - 1, units.shape[1])  # the candidates of one row
    starts = range(0, len(lengths), rows_per_block)
    for start in counted_progress(starts, len(lengths), rows_per_block, "ranking"):
        block = slice(start, min(start + rows_per_block, len(lengths)))
        above[block], tied[block] = _rank_block(units, ids, offsets[start : block.stop + 1], gathered)
    return Ranks(above, tied)


def rank_sparse(questions: csr_array, candidates: csr_array, ids: np.ndarray, offsets: np.ndarray) -> Ranks:
    """Like `rank_duplicates` for rankers that count terms: scores are products of sparse rows.

    `questions`, `candidates`: [texts, terms], each distinct text weighted as a question and as a candidate.
    """
    above = np.zeros(len(offsets) - 1, dtype=np.int64)
    tied = np.zeros(len(offsets) - 1, dtype=np.int64)
    for row in with_progress(range(len(above)), len(above), "ranking"):
        texts = ids[offsets[row] : offsets[row + 1]]
        (scores,) = products(questions[texts[:1]], candidates[texts[1:]])
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


def _rank_block(
    units: "torch.Tensor", ids: np.ndarray, offsets: np.ndarray, gathered: "torch.Tensor"
) -> tuple[np.ndarray, np.ndarray]:
    import torch
    from torch.nn.utils.rnn import pad_sequence

    rows = torch.from_numpy(ids[offsets[0] : offsets[-1]].astype(np.int64)).split(np.diff(offsets).tolist())
    leads = units.new_full((len(rows), len(gathered) - 1), float("-inf"))  # [rows, negatives] over the duplicate
    for lead, texts in zip(leads, rows, strict=True):
        # The candidates of one row fit into the processor's cache, those of many rows do not.
        candidates = torch.index_select(units, 0, texts[1:], out=gathered[: len(texts) - 1])
        scores = _scores(candidates, units[texts[0]])
        lead[: len(texts) - 2] = scores[1:] - scores[0]
    texts = pad_sequence(rows, batch_first=True)  # [rows, 2 + negatives]
    for near in torch.nonzero(leads.abs() < ROUNDING).split(PAIRS_COMPARED):
        row, column = near.unbind(dim=1)
        equal = (units[texts[row, 2 + column]] == units[texts[row, 1]]).all(dim=1)
        leads[row[equal], column[equal]] = 0
    return (leads > 0).sum(dim=1).numpy(), (leads == 0).sum(dim=1).numpy()


def _scores(candidates: "torch.Tensor", question: "torch.Tensor") -> "torch.Tensor":
    return candidates @ question  # cosines, [candidates]
