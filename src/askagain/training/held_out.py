"""The LightningDataModule that both kinds of training data share: a part is held out, the rest dealt in batches."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import cached_property

import numpy as np
from pytorch_lightning import LightningDataModule
from sklearn.model_selection import train_test_split
from torch.utils.data import DataLoader

from askagain.corpus.corpus import Corpus
from askagain.corpus.token_store import TokenStore
from askagain.errors import InputError
from askagain.training.batches import BatchOrder, EpochExamples


class HeldOut(LightningDataModule, ABC):
    """Deals batches of what is trained on and of what is held out; a subclass says what there is, and cuts batches.

    `validation_fraction`: the share of units (groups of duplicates, known words) held out for the validation loss, 0
    for none. `batch_size`: examples in a batch, on each device. `seed` fixes the split, the examples and their order.
    Raises InputError for a share or a size out of range.
    """

    def __init__(
        self, corpus: Corpus, validation_fraction: float, batch_size: int, num_workers: int = 0, seed: int = 0
    ) -> None:
        super().__init__()
        if not 0 <= validation_fraction < 1:
            raise InputError(f"data.validation_fraction={validation_fraction}: must be at least 0 and below 1")
        if batch_size < 1:
            raise InputError(f"data.batch_size={batch_size}: must be at least 1")
        self.corpus = corpus
        self.validation_fraction = validation_fraction
        self.batch_size = batch_size
        self.num_workers = num_workers
        self.seed = seed

    @abstractmethod
    def unit_count(self) -> int:
        """How many units there are; none is split between what is trained on and what is held out."""

    @abstractmethod
    def draw(self, units: np.ndarray, epoch: int) -> tuple[np.ndarray, ...]:
        """The examples that some units give in an epoch, as arrays of equal length."""

    @abstractmethod
    def collator(self) -> Callable:
        """What cuts a batch out of the examples' arrays."""

    @cached_property
    def split(self) -> tuple[np.ndarray, np.ndarray]:
        """The units trained on and the units held out, by index."""
        units = np.arange(self.unit_count())
        held_out = round(self.validation_fraction * len(units))
        if held_out in (0, len(units)):
            return units, units[:0]
        return tuple(train_test_split(units, test_size=held_out, random_state=self.seed))

    def ranking(self, split: str) -> TokenStore:
        """The ranking set `validation` or `test`."""
        return self.corpus.ranking(split)

    def train_dataloader(self) -> DataLoader:
        """Batches of what is trained on, drawn and shuffled anew every epoch; each rank gets its part of a batch."""
        examples = EpochExamples(lambda epoch: self.draw(self.split[0], epoch))
        if not len(examples):
            raise InputError(f"{self.corpus.files.groups()}: no group with two different questions to train on")
        ranks = {"rank": self.trainer.global_rank, "world_size": self.trainer.world_size} if self.trainer else {}
        return self._loader(examples, BatchOrder(examples, self.batch_size, shuffle=True, seed=self.seed, **ranks))

    def val_dataloader(self) -> DataLoader | list:
        """Batches of what is held out, the same every epoch and on every rank; nothing held out, none here."""
        if not len(self.split[1]):
            return []
        examples = EpochExamples(lambda epoch: self.draw(self.split[1], epoch))
        return self._loader(examples, BatchOrder(examples, self.batch_size, shuffle=False))

    def _loader(self, examples: EpochExamples, order: BatchOrder) -> DataLoader:
        # A batch is asked for as a whole, by its indices, and cut out of arrays at once.
        return DataLoader(
            examples, batch_size=None, sampler=order, collate_fn=self.collator(), num_workers=self.num_workers
        )
