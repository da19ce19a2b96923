"""Where the duplicate stands among the candidates of its row."""

from dataclasses import dataclass

import numpy as np
import torch
from scipy.sparse import csr_array
from torch.nn.utils.rnn import pad_sequence

from askagain.ranking.products import products, unit_vectors

ROWS_A_BLOCK = 256  # whose scores are looked at together
PAIRS_COMPARED = 1 << 14  # vectors compared value by value at a time
ROUNDING = 1e-4  # the products of equal unit vectors differ by far less


@dataclass(frozen=True, eq=False)
class Ranks:
    """For each duplicate: how many candidates score `above` it, and how many are `tied` with it; [duplicates] int64.

    `row`: the row of each duplicate, where a row may have several, which count among each other's candidates; every
    row from 0 on has one. None where each row has one.
    """

    above: np.ndarray
    tied: np.ndarray
    row: np.ndarray | None = None

    @property
    def expected(self) -> np.ndarray:
        """The rank from 1 on, the mean over all orders of the tied; [duplicates] float64."""
        return self.above + self.tied / 2 + 1


def rank_duplicates(vectors: np.ndarray, ids: np.ndarray, offsets: np.ndarray) -> Ranks:
    """Ranks the duplicate of every row among the candidates of its row by cosine.

    `vectors`: [texts, dim] float32, one a distinct text. Row `r` is `ids[offsets[r]:offsets[r + 1]]`, indices of texts:
    the question, its duplicate, then at least one negative. A zero vector has similarity 0 to everything. A candidate
    whose vector equals the duplicate's, bit for bit, is tied with it whatever the rounding of the products.
    Raises InputError where a vector has a value that is not finite.
    """
    units = torch.from_numpy(unit_vectors(vectors))  # [texts, dim]
    lengths = np.diff(offsets)
    above = np.zeros(len(lengths), dtype=np.int64)
    tied = np.zeros(len(lengths), dtype=np.int64)
    gathered = units.new_empty(int(lengths.max(initial=1)) - 1, units.shape[1])  # the candidates of one row
    for start in range(0, len(lengths), ROWS_A_BLOCK):
        block = slice(start, min(start + ROWS_A_BLOCK, len(lengths)))
        above[block], tied[block] = _rank_block(units, ids, offsets[start : block.stop + 1], gathered)
    return Ranks(above, tied)


def rank_sparse(questions: csr_array, candidates: csr_array, ids: np.ndarray, offsets: np.ndarray) -> Ranks:
    """The same for rankers that count terms: scores are products of sparse rows, and tie where they are equal.

    `questions`, `candidates`: [texts, terms], what each distinct text is as either of them.
    """
    above = np.zeros(len(offsets) - 1, dtype=np.int64)
    tied = np.zeros(len(offsets) - 1, dtype=np.int64)
    for row in range(len(above)):
        texts = ids[offsets[row] : offsets[row + 1]]
        (scores,) = products(questions[texts[:1]], candidates[texts[1:]])
        above[row], tied[row] = (scores[1:] > scores[0]).sum(), (scores[1:] == scores[0]).sum()
    return Ranks(above, tied)


def _rank_block(
    units: torch.Tensor, ids: np.ndarray, offsets: np.ndarray, gathered: torch.Tensor
) -> tuple[np.ndarray, np.ndarray]:
    rows = torch.from_numpy(ids[offsets[0] : offsets[-1]].astype(np.int64)).split(np.diff(offsets).tolist())
    leads = units.new_full((len(rows), len(gathered) - 1), float("-inf"))  # [rows, negatives] over the duplicate
    for lead, texts in zip(leads, rows, strict=True):
        # The vectors of one row's candidates fit into the processor's cache, those of many rows do not.
        candidates = torch.index_select(units, 0, texts[1:], out=gathered[: len(texts) - 1])
        scores = _scores(candidates, units[texts[0]])
        lead[: len(texts) - 2] = scores[1:] - scores[0]
    texts = pad_sequence(rows, batch_first=True)  # [rows, 2 + negatives]
    for near in torch.nonzero(leads.abs() < ROUNDING).split(PAIRS_COMPARED):
        row, column = near.unbind(dim=1)
        equal = (units[texts[row, 2 + column]] == units[texts[row, 1]]).all(dim=1)
        leads[row[equal], column[equal]] = 0
    return (leads > 0).sum(dim=1).numpy(), (leads == 0).sum(dim=1).numpy()


def _scores(candidates: torch.Tensor, question: torch.Tensor) -> torch.Tensor:
    """The cosines of unit vectors, [candidates]."""
    return candidates @ question
