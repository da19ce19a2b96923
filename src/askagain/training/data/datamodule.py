"""The base datamodule: holds out a share of the examples, batches the rest and opens the ranking sets."""

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
from pytorch_lightning.trainer.states import TrainerFn
from pytorch_lightning.utilities import rank_zero_only
from torch.utils.data import DataLoader

from askagain.corpus.corpus import Corpus
from askagain.corpus.token_store import TokenStore
from askagain.training.data.batches import RankingBatch
from askagain.training.data.sampling import BatchOrder, EpochExamples
from askagain.training.lightning_overhead import LeanDataModule

log = logging.getLogger(__name__)

FILES = "files"  # a key of `state_dict`


class BagDataModule(LeanDataModule, ABC):
    """Batches of bags to train on and to compute the validation loss on, and the ranking sets of a corpus.

    Examples come from sources, the units of the split: a group of duplicates gives pairs, a word gives itself. A share
    of the sources is held out for the validation loss. Everything is opened when it is first needed, so the module also
    works without a Trainer. Every rank gets the whole batch of all devices; the ranks share the work inside the loss.

    `predict_split` names the ranking set whose vectors `trainer.predict` returns, `validation` or `test`, in batches of
    `predict_batch_size` texts.

    Args:
        corpus: the texts.
        validation_fraction: share of the sources that is held out, 0 for none.
        batch_size: examples in a batch, for each device.
        seed: fixes the split, the examples and their order.
    """

    examples_are = "examples"  # what one of them is, in words
    resample = False  # whether every epoch draws examples of its own
    predict_split = "validation"
    predict_batch_size = 4_096

    def __init__(self, corpus: Corpus, validation_fraction: float = 0.05, batch_size: int = 512, seed: int = 0) -> None:
        super().__init__()
        self.corpus = corpus
        self.validation_fraction = validation_fraction
        self.batch_size = batch_size
        self.seed = seed
        self._order: BatchOrder | None = None  # of the training batches
        self._order_state: dict[str, Any] | None = None  # from a checkpoint

    @abstractmethod
    def source_count(self) -> int:
        """How many sources there are; a source is either trained on or held out as a whole."""

    @abstractmethod
    def draw(self, sources: np.ndarray, epoch: int) -> tuple[np.ndarray, ...]:
        """The examples of the given sources in an epoch, as arrays of equal length."""

    @abstractmethod
    def collator(self, training: bool) -> Callable:
        """Makes a batch of examples, to train on or held out, from the arrays of `draw`."""

    @abstractmethod
    def description(self) -> str:
        """The files or vectors that the examples come from."""

    @abstractmethod
    def counts(self) -> dict[str, float]:
        """Sizes of the data by name, for loggers and the console."""

    @abstractmethod
    def model_inputs(self) -> dict[str, Any]:
        """The constructor arguments of a module that come from the data, such as `features`."""

    def prepare_data(self) -> None:
        """Writes to the cache what is computed once."""
        for split in ("validation", "test"):
            if getattr(self.corpus.files, split) is not None:
                self.ranking(split)

    def setup(self, stage: str) -> None:
        """Opens what a stage of the Trainer needs; raises InputError if the corpus lacks it."""
        if stage == TrainerFn.FITTING:
            _ = self.train_examples
        else:
            self.ranking({"validate": "validation", "test": "test"}.get(stage, self.predict_split))

    @cached_property
    def split(self) -> tuple[np.ndarray, np.ndarray]:
        """The indices of the sources trained on and of those held out."""
        sources = np.arange(self.source_count())
        held_out = round(self.validation_fraction * len(sources))
        if held_out in (0, len(sources)):
            return sources, sources[:0]
        # The split that sklearn's train_test_split makes, which takes a second to import.
        shuffled = np.random.RandomState(self.seed).permutation(sources)
        return np.sort(shuffled[held_out:]), np.sort(shuffled[:held_out])  # in file order: reads are close together

    @cached_property
    def train_examples(self) -> EpochExamples:
        return EpochExamples(lambda epoch: self.draw(self.split[0], epoch), self.resample)

    def ranking(self, split: str) -> TokenStore:
        """The ranking set `validation` or `test`; raises InputError if the corpus has none."""
        return self.corpus.ranking(split)

    def train_dataloader(self) -> DataLoader:
        """Batches shuffled anew every epoch; with `Trainer(overfit_batches)` the same ones in every epoch."""
        self._order = BatchOrder(self.train_examples, self._global_batch_size, shuffle=True, seed=self.seed)
        if self._order_state is not None:
            self._order.load_state_dict(self._order_state)
        return self._loader(self._order, training=True)

    def val_dataloader(self) -> DataLoader | list:
        """Held-out batches, the same every epoch.

        With nothing held out, `fit` gets no batches, and `trainer.validate` those of the ranking set, which have no
        loss: Lightning runs no callback without a batch, and `HitsAtK` should rank.
        """
        if len(self.split[1]):
            examples = EpochExamples(lambda epoch: self.draw(self.split[1], epoch), resample=False)
            return self._loader(BatchOrder(examples, self._global_batch_size, shuffle=False), training=False)
        validating = self.trainer is not None and self.trainer.state.fn == TrainerFn.VALIDATING
        return self._ranking_loader("validation") if validating else []

    def test_dataloader(self) -> DataLoader:
        return self._ranking_loader("test")

    def predict_dataloader(self) -> DataLoader:
        return self._ranking_loader(self.predict_split)

    def state_dict(self) -> dict[str, Any]:
        """How far training is into its epoch, and the SHA-256 of the files that it is trained on.

        It is 0 batches once the epoch has ended, even if it was cut short.
        """
        if self._order is None:
            return {}
        state = {**self._order.state_dict(), FILES: dict(self.corpus.digests)}
        epochs: Any = self.trainer.fit_loop.epoch_progress.current if self.trainer else None
        return state | {"batches": 0} if epochs is not None and epochs.processed >= epochs.started else state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Resumes at the position in a checkpoint, and names files that have changed since.

        Raises InputError as `BatchOrder.load_state_dict` does.
        """
        self._name_changed_files(state_dict.get(FILES, {}))
        self._order_state = state_dict or None
        # Lightning asks for the loader either before or after it reads the checkpoint.
        if state_dict and self._order is not None:
            self._order.load_state_dict(state_dict)

    @rank_zero_only
    def _name_changed_files(self, digests: dict[str, str]) -> None:
        for field, digest in self.corpus.digests.items():
            if digests.get(field, digest) != digest:
                log.warning(
                    "%s is not what it was when the checkpoint was written; training goes on with the changed file: "
                    "start a new run for comparable figures",
                    self.corpus.files.file(field),
                )

    @property
    def _global_batch_size(self) -> int:
        return self.batch_size * (self.trainer.world_size if self.trainer else 1)

    def _loader(self, order: BatchOrder, training: bool) -> DataLoader:
        # The sampler yields a whole batch of indices, which the collator cuts out of arrays at once.
        # Page-locked memory lets a batch be copied to a GPU while the GPU works on the previous one.
        on_gpu = self.trainer is not None and self.trainer.strategy.root_device.type == "cuda"
        settings = {"batch_size": None, "collate_fn": self.collator(training), "pin_memory": on_gpu}
        if self.trainer is not None and self.trainer.overfit_batches > 0:  # type: ignore[attr-defined]
            # Batches by their numbers: Lightning would replace a sampler that it does not know to be sequential.
            return DataLoader([order.examples[indices] for indices in order], **settings)  # type: ignore[arg-type]
        return DataLoader(order.examples, sampler=order, **settings)  # type: ignore[arg-type]

    def _ranking_loader(self, split: str) -> DataLoader:
        ranking = self.ranking(split)
        texts = np.arange(len(ranking.texts))
        size = self.predict_batch_size
        batches = [RankingBatch(ranking, texts[start : start + size]) for start in range(0, len(texts), size)]
        return DataLoader(batches, batch_size=None, collate_fn=lambda batch: batch)  # type: ignore[arg-type]
