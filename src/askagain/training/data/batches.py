"""Batches: which examples belong together, and the tensors that a model takes, cut out of flat arrays."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch.utils.data import Dataset, Sampler

from askagain.errors import InputError
from askagain.files.npy import read_at_random
from askagain.text.bags import Bags
from askagain.training.optim.embedding_bag import TensorBags

ORDER_STREAM = 1  # keeps the order of examples apart from other draws with the same seed and epoch


class DuplicateBatch(NamedTuple):
    """b pairs of duplicates, and m hard negatives where they are mined.

    `bags`: 2b + m, those of the queries before those of the positives and of the negatives, an empty question being an
    empty bag. `groups`: [b + m] group ids. `size`: b.
    """

    bags: TensorBags
    groups: torch.Tensor
    size: int


class WordVectorBatch(NamedTuple):
    """b words: the bags of their letter n-grams, and their [b, dim] float32 vectors."""

    ngrams: TensorBags
    vectors: torch.Tensor

    @property
    def size(self) -> int:
        """Words in the batch."""
        return len(self.vectors)


class DistillationBatch(NamedTuple):
    """b texts with their teacher's vectors, p of them with a duplicate.

    `bags`: b + p bags, those of the texts before those of the duplicates. `teacher`: [b, dim] float32, unit rows.
    `paired`: [p] int64, the places of the texts that have a duplicate; `groups`: [p], the group of both.
    """

    bags: TensorBags
    teacher: torch.Tensor
    paired: torch.Tensor
    groups: torch.Tensor

    @property
    def size(self) -> int:
        """Texts in the batch, duplicates not counted."""
        return len(self.teacher)


@dataclass(frozen=True, eq=False)
class HardNegatives:
    """A further negative for the query of a pair: `of_texts`, [texts], a text of the pool for each text of the groups
    (-1: none). `bags`: of all texts of the pool, which begins with those of the groups. `groups`: [pool] group ids.
    """

    bags: Bags
    of_texts: np.ndarray
    groups: np.ndarray


class DuplicateCollator:
    """Cuts the bags of both sides of some pairs out of the token store, by array operations only.

    `hard_negatives` is asked for every batch; None where there are none.
    """

    def __init__(self, bags: Bags, hard_negatives: Callable[[], HardNegatives | None] = lambda: None) -> None:
        self.bags = bags
        self.hard_negatives = hard_negatives
        read_at_random(bags.ids)
        read_at_random(bags.offsets)

    def __call__(self, examples: tuple[np.ndarray, np.ndarray]) -> DuplicateBatch:
        """`examples`: [b, 2] text indices and [b] group ids."""
        pairs, groups = examples
        hard = self.hard_negatives()
        if hard is None:
            return DuplicateBatch(TensorBags.of(self.bags.take(pairs.T.ravel())), torch.from_numpy(groups), len(pairs))
        negatives = np.unique(hard.of_texts[pairs[:, 0]])
        negatives = negatives[negatives >= 0]
        bags = hard.bags.take(np.concatenate([pairs.T.ravel(), negatives]))
        groups = hard.groups[np.concatenate([pairs[:, 0], negatives])]
        return DuplicateBatch(TensorBags.of(bags), torch.from_numpy(groups), len(pairs))


class WordVectorCollator:
    """Cuts the n-gram bags and the target vectors of some words out of flat arrays."""

    def __init__(self, ngrams: Bags, vectors: np.ndarray) -> None:
        self.ngrams = ngrams
        self.vectors = torch.from_numpy(vectors)

    def __call__(self, words: np.ndarray) -> WordVectorBatch:
        """`words`: [b] places in both arrays."""
        # PyTorch gathers rows with all threads, numpy with one.
        vectors = self.vectors.index_select(0, torch.from_numpy(words))
        return WordVectorBatch(TensorBags.of(self.ngrams.take(words)), vectors)


class DistillationCollator:
    """Cuts the bags and the teacher's vectors of some texts out of flat arrays."""

    def __init__(self, bags: Bags, vectors: np.ndarray) -> None:
        self.bags = bags
        self.vectors = vectors
        read_at_random(vectors)

    def __call__(self, examples: tuple[np.ndarray, np.ndarray, np.ndarray]) -> DistillationBatch:
        """`examples`: [b] texts, [b] a duplicate of each (-1: none), and [b] the group of both."""
        texts, duplicates, groups = examples
        paired = np.flatnonzero(duplicates >= 0)
        bags = TensorBags.of(self.bags.take(np.concatenate([texts, duplicates[paired]])))
        teacher = torch.from_numpy(self.vectors[texts].astype(np.float32))
        return DistillationBatch(bags, teacher, torch.from_numpy(paired), torch.from_numpy(groups[paired]))


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
        for array in self._arrays:
            read_at_random(array)

    def set_epoch(self, epoch: int) -> None:
        """Draws the examples of another epoch."""
        if self._fresh and epoch != self._epoch:
            self._epoch = epoch
            self._arrays = self._draw(epoch)

    def __len__(self) -> int:
        return len(self._arrays[0])

    def __getitem__(self, indices: np.ndarray) -> np.ndarray | tuple[np.ndarray, ...]:
        taken = tuple(array.take(indices, axis=0) for array in self._arrays)  # faster than array[indices]
        return taken if len(taken) > 1 else taken[0]


class BatchOrder(Sampler[np.ndarray]):
    """Yields the indices of one batch after the other, shuffled anew every epoch from `seed`; the last may be smaller.

    It can go on in the middle of an epoch: `state_dict` says after how many batches.
    """

    def __init__(self, examples: EpochExamples, batch_size: int, shuffle: bool, seed: int = 0) -> None:
        self.examples = examples
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.seed = seed
        self.epoch = 0
        self._first = 0  # batch of the next epoch that is gone through
        self._done = 0

    def set_epoch(self, epoch: int) -> None:
        """Called by Lightning before every epoch, also by one that resumes."""
        if self.shuffle:
            self.epoch = epoch
            self.examples.set_epoch(epoch)

    def __len__(self) -> int:
        return -(-len(self.examples) // self.batch_size)

    def __iter__(self) -> Iterator[np.ndarray]:
        count = len(self.examples)
        order = np.arange(count, dtype=np.int32 if count < 2**31 else np.int64)
        if self.shuffle:
            np.random.default_rng([self.seed, self.epoch, ORDER_STREAM]).shuffle(order)
        first, self._first = self._first, 0
        for number in range(first, len(self)):
            self._done = number + 1
            yield order[number * self.batch_size : (number + 1) * self.batch_size]

    def state_dict(self) -> dict[str, int]:
        """How many batches of the epoch were given out, and how large they are."""
        return {"batches": self._done % max(1, len(self)), "batch_size": self.batch_size}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Leaves out the batches that were given out. Raises InputError where they were of another size."""
        if state["batches"] and state["batch_size"] != self.batch_size:
            size = state["batch_size"]
            raise InputError(
                f"ckpt_path: the checkpoint is from inside of an epoch with {size} examples in a batch of all devices, "
                f"not {self.batch_size}; set data.batch_size to {size} over the number of devices"
            )
        self._first = self._done = state["batches"]
