"""Where the duplicate stands among its candidates, when all are scored by cosine."""

from dataclasses import dataclass

import numpy as np
import torch
from torch.nn.functional import normalize

from askagain.errors import InputError

BLOCK_BYTES = 64 * 2**20  # candidate vectors gathered at a time
ROUNDING = 1e-4  # the products of equal unit vectors differ by far less


@dataclass(frozen=True, eq=False)
class Ranks:
    """For each row: how many candidates score `above` the duplicate, and how many are `tied` with it; [rows] int64."""

    above: np.ndarray
    tied: np.ndarray


def rank_duplicates(vectors: np.ndarray, ids: np.ndarray, offsets: np.ndarray) -> Ranks:
    """Ranks the duplicate of every row among the candidates of its row by cosine.

    `vectors`: [texts, dim] float32, one a distinct text. Row `r` is `ids[offsets[r]:offsets[r + 1]]`, indices of texts:
    the question, its duplicate, then at least one negative. A zero vector has similarity 0 to everything. A candidate
    whose vector equals the duplicate's, bit for bit, is tied with it whatever the rounding of the products.
    Raises InputError where a vector has a value that is not finite.
    """
    if not np.isfinite(vectors).all():
        raise InputError("the encoder gives vectors that are not finite; if it is in training, lower optimizer.lr")
    units = normalize(torch.from_numpy(np.ascontiguousarray(vectors)), dim=1, eps=1e-12)  # [texts, dim]
    lengths = np.diff(offsets)
    above = np.zeros(len(lengths), dtype=np.int64)
    tied = np.zeros(len(lengths), dtype=np.int64)
    width = int(lengths.max(initial=2))
    rows_a_block = max(1, BLOCK_BYTES // (width * units.shape[1] * units.element_size()))
    for start in range(0, len(lengths), rows_a_block):
        block = slice(start, min(start + rows_a_block, len(lengths)))
        above[block], tied[block] = _rank_block(units, ids, offsets[block], lengths[block])
    return Ranks(above, tied)


def _rank_block(
    units: torch.Tensor, ids: np.ndarray, starts: np.ndarray, lengths: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    places = np.arange(lengths.max())
    there = torch.from_numpy(places[None, 2:] < lengths[:, None])  # [rows, negatives]
    last = starts + lengths - 1
    texts = torch.from_numpy(ids[np.minimum(starts[:, None] + places, last[:, None])].astype(np.int64))
    candidates = units[texts[:, 1:]]  # [rows, 1 + negatives, dim]
    scores = torch.bmm(candidates, units[texts[:, 0]].unsqueeze(2)).squeeze(2)
    lead = scores[:, 1:] - scores[:, :1]
    lead[_equal_to_duplicate(candidates, lead)] = 0
    return ((lead > 0) & there).sum(dim=1).numpy(), ((lead == 0) & there).sum(dim=1).numpy()


def _equal_to_duplicate(candidates: torch.Tensor, lead: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows and columns of the negatives whose vector is the duplicate's; only near scores need a look."""
    row, column = torch.nonzero(lead.abs() < ROUNDING, as_tuple=True)
    equal = (candidates[row, 1 + column] == candidates[row, 0]).all(dim=1)
    return row[equal], column[equal]
