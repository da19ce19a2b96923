"""Which examples form a batch, and in which order: an epoch's examples and the sampler of whole batches."""

from collections.abc import Callable, Iterator

import numpy as np
from torch.utils.data import Dataset, Sampler

from askagain.errors import InputError
from askagain.files.arrays import read_at_random

ORDER_STREAM = 1  # separates the shuffle from other draws with the same seed and epoch


class EpochExamples(Dataset):
    """The examples of one epoch as arrays of equal length, indexed a batch at a time.

    `draw` gives the arrays of an epoch, equally long in every epoch. Without `resample` those of epoch 0 are used
    throughout.
    """

    def __init__(self, draw: Callable[[int], tuple[np.ndarray, ...]], resample: bool) -> None:
        self._draw = draw
        self._resample = resample
        self._epoch = 0
        self._arrays = draw(0)
        for array in self._arrays:
            read_at_random(array)

    def set_epoch(self, epoch: int) -> None:
        if self._resample and epoch != self._epoch:
            self._epoch = epoch
            self._arrays = self._draw(epoch)

    def __len__(self) -> int:
        return len(self._arrays[0])

    def __getitem__(self, indices: np.ndarray) -> np.ndarray | tuple[np.ndarray, ...]:
        batch = tuple(array.take(indices, axis=0) for array in self._arrays)  # faster than array[indices]
        return batch if len(batch) > 1 else batch[0]


class BatchOrder(Sampler[np.ndarray]):
    """A sampler of whole batches: yields each batch's indices, the last one possibly fewer.

    It can resume in the middle of an epoch; `state_dict` holds how many batches were given out.

    With `shuffle` every epoch has an order of its own, fixed by `seed` and the epoch, and `examples` are told of it.
    `batch_size`: examples in a batch of all devices.
    """

    def __init__(self, examples: EpochExamples, batch_size: int, shuffle: bool, seed: int = 0) -> None:
        self.examples = examples
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.seed = seed
        self.epoch = 0
        self._first = 0  # the batch at which the next pass begins
        self._given_out = 0

    def set_epoch(self, epoch: int) -> None:
        """Called by Lightning before every epoch, a resumed one included."""
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
            self._given_out = number + 1
            yield order[number * self.batch_size : (number + 1) * self.batch_size]

    def state_dict(self) -> dict[str, int]:
        return {"batches": self._given_out % max(1, len(self)), "batch_size": self.batch_size}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Skips the batches already given out; raises InputError if they were of another size."""
        if state["batches"] and state["batch_size"] != self.batch_size:
            size = state["batch_size"]
            raise InputError(
                f"ckpt_path: the checkpoint was written within an epoch of {size} examples a batch over all devices, "
                f"not {self.batch_size}; set batch_size to {size} divided by the number of devices"
            )
        self._first = self._given_out = state["batches"]
