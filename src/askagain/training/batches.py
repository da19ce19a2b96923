"""Batches: which examples belong together, and the tensors that a model takes, cut out of flat arrays."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch.utils.data import Dataset, Sampler

from askagain.text.bags import Bags
from askagain.training.bag_sum import TensorBags

ORDER_STREAM = 1  # keeps the order of examples apart from other draws with the same seed and epoch


class DuplicateBatch(NamedTuple):
    """b pairs of duplicates: 2b bags, those of the queries before those of the positives, an empty question being an
    empty bag; and [b] group ids.
    """

    bags: TensorBags
    groups: torch.Tensor

    @property
    def size(self) -> int:
        """Pairs in the batch."""
        return len(self.groups)


class WordVectorBatch(NamedTuple):
    """b words: the bags of their letter trigrams, and their [b, dim] float32 vectors."""

    trigrams: TensorBags
    vectors: torch.Tensor

    @property
    def size(self) -> int:
        """Words in the batch."""
        return len(self.vectors)


class DuplicateCollator:
    """Cuts the bags of both sides of some pairs out of the token store, by array operations only."""

    def __init__(self, bags: Bags) -> None:
        self.bags = bags

    def __call__(self, examples: tuple[np.ndarray, np.ndarray]) -> DuplicateBatch:
        """`examples`: [b, 2] text indices and [b] group ids."""
        pairs, groups = examples
        return DuplicateBatch(TensorBags.of(self.bags.take(pairs.T.ravel())), torch.from_numpy(groups))


class WordVectorCollator:
    """Cuts the trigram bags and the target vectors of some words out of flat arrays."""

    def __init__(self, trigrams: Bags, vectors: np.ndarray) -> None:
        self.trigrams = trigrams
        self.vectors = vectors

    def __call__(self, words: np.ndarray) -> WordVectorBatch:
        """`words`: [b] places in both arrays."""
        return WordVectorBatch(
            TensorBags.of(self.trigrams.take(words)), torch.from_numpy(self.vectors.take(words, axis=0))
        )


class EpochExamples(Dataset):
    """The examples of one epoch, asked for a whole batch at a time: `examples[indices]` indexes each of its arrays.

    `draw(epoch)` gives the arrays, all of the same length in every epoch; it is asked again for another epoch only with
    `fresh`.
    """

    def __init__(self, draw: Callable[[int], tuple[np.ndarray, ...]], fresh: bool) -> None:
        self._draw = draw
        self._fresh = fresh
        self._epoch = 0
        self._arrays = draw(0)

    def set_epoch(self, epoch: int) -> None:
        """Draws the examples of another epoch."""
        if self._fresh and epoch != self._epoch:
            self._epoch = epoch
            self._arrays = self._draw(epoch)

    def __len__(self) -> int:
        return len(self._arrays[0])

    def __getitem__(self, indices: np.ndarray) -> np.ndarray | tuple[np.ndarray, ...]:
        taken = tuple(array[indices] for array in self._arrays)
        return taken if len(taken) > 1 else taken[0]


class BatchOrder(Sampler[np.ndarray]):
    """Yields the indices of one batch after the other, shuffled anew every epoch from `seed`.

    A batch has `batch_size` examples on each of `world_size` ranks, and rank `rank` gets its part; the order is the
    same on every rank. Where the last batch has fewer examples than ranks it is left out, so that all ranks take the
    same number of steps.
    """

    def __init__(
        self,
        examples: EpochExamples,
        batch_size: int,
        shuffle: bool,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self.examples = examples
        self.global_batch_size = batch_size * world_size
        self.shuffle = shuffle
        self.seed = seed
        self.rank = rank
        self.world_size = world_size
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Called by Lightning before every epoch, also by one that resumes."""
        if self.shuffle:
            self.epoch = epoch
            self.examples.set_epoch(epoch)

    def __len__(self) -> int:
        full, rest = divmod(len(self.examples), self.global_batch_size)
        return full + (rest >= self.world_size)

    def __iter__(self) -> Iterator[np.ndarray]:
        count = len(self.examples)
        order = np.arange(count, dtype=np.int32 if count < 2**31 else np.int64)
        if self.shuffle:
            np.random.default_rng([self.seed, self.epoch, ORDER_STREAM]).shuffle(order)
        for number in range(len(self)):
            batch = order[number * self.global_batch_size : (number + 1) * self.global_batch_size]
            yield np.array_split(batch, self.world_size)[self.rank]
