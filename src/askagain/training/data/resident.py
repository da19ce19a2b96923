"""Batches that are cut on a GPU, out of token arrays that lie there for as long as training lasts.

A GPU takes less time for a step than a processor does for cutting its batch. All that crosses for a batch is which
texts it has, and nothing has to come back: no operation here asks the GPU how large its result is.
"""

from typing import NamedTuple

import numpy as np
import torch

from askagain.text.bags import Bags
from askagain.training.data.batches import DuplicateBatch
from askagain.training.kernels.choice import gpu_kernels
from askagain.training.optim.embedding_bag import TensorBags


class PairNumbers(NamedTuple):
    """b pairs of duplicates whose bags are cut later.

    `texts`: [2b] int64, the texts of the queries, then of the positives. `groups`: [b] group ids. `tokens`: ids in all
    of their bags. `size`: b.
    """

    texts: torch.Tensor
    groups: torch.Tensor
    tokens: int
    size: int


class PairNumbersCollator:
    """Counts the tokens of the pairs of a batch, in place of `DuplicateCollator`."""

    def __init__(self, bags: Bags) -> None:
        self._lengths = bags.lengths.astype(np.int32)

    def __call__(self, examples: tuple[np.ndarray, np.ndarray]) -> PairNumbers:
        """`examples`: [b, 2] text indices and [b] group ids."""
        pairs, groups = examples
        texts = pairs.T.ravel().astype(np.int64)
        tokens = int(self._lengths.take(texts).sum(dtype=np.int64))
        return PairNumbers(torch.from_numpy(texts), torch.from_numpy(groups), tokens, len(pairs))


class ResidentBags:
    """The bags of texts on a device: `ids`, [tokens] int32, and `offsets`, [texts + 1] int64."""

    def __init__(self, bags: Bags, device: torch.device) -> None:
        self.ids = torch.from_numpy(np.array(bags.ids, dtype=np.int32)).to(device)
        self.offsets = torch.from_numpy(np.array(bags.offsets, dtype=np.int64)).to(device)

    @staticmethod
    def nbytes(bags: Bags) -> int:
        """The memory that they take on a device."""
        return 4 * len(bags.ids) + 8 * len(bags.offsets)

    def batch(self, numbers: PairNumbers) -> DuplicateBatch:
        """The batch that `DuplicateCollator` would have cut; `numbers` are on the device."""
        return DuplicateBatch(self.take(numbers.texts, numbers.tokens), numbers.groups, numbers.size)

    def take(self, texts: torch.Tensor, tokens: int) -> TensorBags:
        """The bags of `texts`, [n] int64, which have so many `tokens` in all, and their inverse.

        How many rows are distinct is not known here: each is repeated as often as a token has it, and the bags are
        those of the first time.
        """
        starts = self.offsets[texts]
        lengths = self.offsets[texts + 1] - starts
        offsets = torch.nn.functional.pad(lengths.cumsum(0), (1, 0))
        positions = torch.arange(tokens, device=texts.device)
        kernels = gpu_kernels() if texts.is_cuda else None
        if kernels is not None:
            ids, users = kernels.take_tokens(self.ids, starts, offsets, tokens)
        else:
            shifts = torch.repeat_interleave(starts - offsets[:-1], lengths, output_size=tokens)
            ids = self.ids[positions + shifts]
            bags = torch.arange(len(texts), dtype=torch.int32, device=texts.device)
            users = torch.repeat_interleave(bags, lengths, output_size=tokens)
        ordered, places = torch.sort(ids, stable=True)  # equal rows keep their order, which is that of the bags
        ends = torch.searchsorted(ordered, ordered, right=True)  # of the tokens with the same row
        is_first = torch.searchsorted(ordered, ordered) == positions
        user_offsets = torch.nn.functional.pad(torch.where(is_first, positions, ends), (0, 1), value=tokens)
        return TensorBags(ids, offsets.int(), ordered.long(), users[places], user_offsets.int())
