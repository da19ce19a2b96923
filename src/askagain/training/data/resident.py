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

        self._last_row = int(self.ids.max()) if len(bags.ids) else 0

    @staticmethod
    def nbytes(bags: Bags) -> int:
        """The memory that they take on a device."""
        return 4 * len(bags.ids) + 8 * len(bags.offsets)

    def take(self, texts: torch.Tensor, room: int) -> TensorBags:
        """The bags of `texts`, [n] int64, and their inverse.

        How many rows are distinct is not known here: each is repeated as often as a token has it, and the bags are
        those of the first time.

        Args:
            texts: Which texts, on the device.
            room: Tokens that there is room for, at least as many as the texts have. Batches with the same room have
                tensors of the same shapes; what is left of it is in no bag and has no users.
        """
        starts = self.offsets[texts]
        offsets = torch.nn.functional.pad((self.offsets[texts + 1] - starts).cumsum(0), (1, 0))
        tokens = offsets[-1:]
        positions = torch.arange(room, device=texts.device)
        kernels = gpu_kernels() if texts.is_cuda else None
        if kernels is not None:
            ids, users = kernels.take_tokens(self.ids, starts, offsets, room, self._last_row)
        else:
            users = torch.searchsorted(offsets[1:], positions, right=True).clamp_(max=len(texts) - 1)
            sources = (positions + (starts - offsets[:-1])[users]).clamp_(max=max(0, len(self.ids) - 1))
            ids = self.ids[sources].masked_fill_(positions >= tokens, self._last_row)
            users = users.int()
        ordered, places = torch.sort(ids, stable=True)  # equal rows keep their order, which is that of the bags
        ends = torch.searchsorted(ordered, ordered, right=True)  # of the tokens with the same row
        is_first = torch.searchsorted(ordered, ordered) == positions
        user_offsets = torch.cat([torch.where(is_first, positions, ends), tokens]).minimum(tokens)
        return TensorBags(ids, offsets.int(), ordered.long(), users[places], user_offsets.int())


class ResidentPairs(NamedTuple):
    """Pairs whose bags are cut out of `resident` when they are needed; `numbers` may be on the processor."""

    numbers: PairNumbers
    resident: ResidentBags

    @property
    def size(self) -> int:
        return self.numbers.size

    def cut(self) -> DuplicateBatch:
        """The batch that `DuplicateCollator` would have cut, on the device."""
        device = self.resident.ids.device
        texts, groups = (tensor.to(device, non_blocking=True) for tensor in (self.numbers.texts, self.numbers.groups))
        return self.cut_into(self.numbers.tokens, texts, groups)

    def cut_into(self, room: int, texts: torch.Tensor, groups: torch.Tensor) -> DuplicateBatch:
        """The batch of other pairs, as many as there are here, with a room for tokens; see `ResidentBags.take`."""
        return DuplicateBatch(self.resident.take(texts, room), groups, self.size)
