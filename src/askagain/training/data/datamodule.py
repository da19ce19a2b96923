"""The LightningDataModule that both kinds of training data share: a part is held out, the rest dealt in batches."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
import torch
from pytorch_lightning import LightningDataModule
from sklearn.model_selection import train_test_split
from torch.utils.data import DataLoader

from askagain.corpus.corpus import Corpus
from askagain.corpus.token_store import TokenStore
from askagain.errors import InputError
from askagain.training.data.batches import BatchOrder, EpochExamples


class BagDataModule(LightningDataModule, ABC):
    """Deals batches of what is trained on and of what is held out; a subclass says what there is, and cuts batches.

    Examples come from sources: groups of duplicates give pairs, known words give themselves. `validation_fraction`: the
    share of the sources that is held out for the validation loss, 0 for none. `batch_size`: examples in a batch, on
    each device. `seed` fixes the split, the examples and their order. Raises InputError for a share or a size out of
    range.
    """

    def __init__(self, corpus: Corpus, validation_fraction: float, batch_size: int, seed: int) -> None:
        super().__init__()
        if not 0 <= validation_fraction < 1:
            raise InputError(f"data.validation_fraction={validation_fraction}: must be at least 0 and below 1")
        if batch_size < 1:
            raise InputError(f"data.batch_size={batch_size}: must be at least 1")
        self.corpus = corpus
        self.validation_fraction = validation_fraction
        self.batch_size = batch_size
        self.seed = seed
        self._order: BatchOrder | None = None  # of training's batches
        self._order_state: dict[str, int] | None = None  # where it goes on

    @abstractmethod
    def source_count(self) -> int:
        """How many sources there are; none is split between what is trained on and what is held out."""

    @abstractmethod
    def draw(self, sources: np.ndarray, epoch: int) -> tuple[np.ndarray, ...]:
        """The examples that some sources give in an epoch, as arrays of equal length."""

    @abstractmethod
    def collator(self, training: bool) -> Callable:
        """What cuts a batch, of what is trained on or of what is held out, out of the examples' arrays."""

    @property
    def fresh(self) -> bool:
        """Whether every epoch has examples of its own."""
        return False

    @abstractmethod
    def description(self) -> str:
        """What the examples were read from."""

    @abstractmethod
    def counts(self) -> dict[str, float]:
        """What there is, by name."""

    @abstractmethod
    def model_inputs(self) -> dict[str, Any]:
        """What a model is made from, beside its own settings."""

    @cached_property
    def split(self) -> tuple[np.ndarray, np.ndarray]:
        """The sources trained on and the sources held out, by index."""
        sources = np.arange(self.source_count())
        held_out = round(self.validation_fraction * len(sources))
        if held_out in (0, len(sources)):
            return sources, sources[:0]
        parts = train_test_split(sources, test_size=held_out, random_state=self.seed)
        return np.sort(parts[0]), np.sort(parts[1])  # in the order of the file, where neighbours are read together

    @cached_property
    def train_examples(self) -> EpochExamples:
        """What is trained on."""
        return EpochExamples(lambda epoch: self.draw(self.split[0], epoch), self.fresh)

    def ranking(self, split: str) -> TokenStore:
        """The ranking set `validation` or `test`."""
        return self.corpus.ranking(split)

    def train_dataloader(self) -> DataLoader:
        """Batches of what is trained on, drawn and shuffled anew every epoch; every rank has the whole batch."""
        self._order = BatchOrder(self.train_examples, self._whole_batch_size, shuffle=True, seed=self.seed)
        if self._order_state is not None:
            self._order.load_state_dict(self._order_state)
        return self._loader(self._order)

    def val_dataloader(self) -> DataLoader | list:
        """Batches of what is held out, the same every epoch; nothing held out, none here."""
        if not len(self.split[1]):
            return []
        examples = EpochExamples(lambda epoch: self.draw(self.split[1], epoch), fresh=False)
        return self._loader(BatchOrder(examples, self._whole_batch_size, shuffle=False))

    def state_dict(self) -> dict[str, int]:
        """Where training stands in its epoch, for checkpoints; at its beginning where one has ended, however early."""
        if self._order is None:
            return {}
        state = self._order.state_dict()
        epochs: Any = self.trainer.fit_loop.epoch_progress.current if self.trainer else None
        return state | {"batches": 0} if epochs is not None and epochs.processed >= epochs.started else state

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        """Training goes on where a checkpoint stood; raises InputError as `BatchOrder.load_state_dict` does."""
        self._order_state = state_dict or None
        # Lightning asks for the loader before it reads the checkpoint, or after.
        if state_dict and self._order is not None:
            self._order.load_state_dict(state_dict)

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        """As Lightning does it; to a processor, where batches are made, nothing is to be moved."""
        return batch if device.type == "cpu" else super().transfer_batch_to_device(batch, device, dataloader_idx)

    @property
    def _whole_batch_size(self) -> int:
        """Examples in a batch of all devices."""
        return self.batch_size * (self.trainer.world_size if self.trainer else 1)

    def _loader(self, order: BatchOrder) -> DataLoader:
        # A batch is asked for as a whole, by its indices, and cut out of arrays at once.
        # Page-locked memory lets a batch be copied to a GPU while it works on the last one.
        on_gpu = self.trainer is not None and self.trainer.strategy.root_device.type == "cuda"
        return DataLoader(
            order.examples,
            batch_size=None,
            sampler=order,
            collate_fn=self.collator(training=order.shuffle),
            pin_memory=on_gpu,
        )
