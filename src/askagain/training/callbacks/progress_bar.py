"""The progress bar of a whole training."""

import math
from contextlib import ExitStack
from typing import Any, TypeVar

from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import ProgressBar
from rich.progress import TaskID

from askagain.files.progress import Bar, progress_bar
from askagain.training.callbacks.hits_at_k import HitsAtK
from askagain.training.callbacks.throughput import Throughput

Kind = TypeVar("Kind")

SHOWN = ("hits@10", "mrr")


class TrainingProgressBar(ProgressBar):
    """One bar for all epochs: batches done, examples a second, the latest Hits@10 and MRR, and the time left.

    Rates are those that `Throughput` measures. Bars of stages within the training, such as ranking, appear below it
    while they take long. It disappears at the end, and is drawn by the first rank alone.
    """

    def __init__(self) -> None:
        super().__init__()
        self._closing = ExitStack()
        self._bar: Bar | None = None
        self._line = TaskID(0)
        self._is_enabled = True

    def disable(self) -> None:
        self._is_enabled = False

    def enable(self) -> None:
        self._is_enabled = True

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not self._is_enabled or not trainer.is_global_zero:
            return
        self._bar = self._closing.enter_context(progress_bar(delay=0))
        self._line = self._bar.add_task("training", _batches(trainer), trainer.fit_loop.total_batch_idx + 1)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._show(trainer)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self._show(trainer)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._show(trainer)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._close()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        self._close()

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        self._close()

    def _show(self, trainer: Trainer) -> None:
        if self._bar is None:
            return
        epochs = trainer.max_epochs
        last = f" of {epochs - 1}" if epochs is not None and epochs > 0 else ""
        latest = {name: value for one in _of_kind(trainer, HitsAtK) for name, value in one.latest.items()}
        self._bar.update(
            self._line,
            description=f"epoch {trainer.current_epoch}{last}",
            completed=trainer.fit_loop.total_batch_idx + 1,
            rate=_rate(trainer),
            note="  ".join(f"{name} {latest[name]:.4f}" for name in SHOWN if name in latest),
        )

    def _close(self) -> None:
        self._bar = None
        self._closing.close()


def _batches(trainer: Trainer) -> float | None:
    """The batches of all epochs; None where nobody knows."""
    if trainer.max_steps > 0:
        return trainer.max_steps * trainer.accumulate_grad_batches
    endless = trainer.max_epochs is None or trainer.max_epochs < 0 or math.isinf(trainer.num_training_batches)
    return None if endless else trainer.max_epochs * trainer.num_training_batches  # type: ignore[operator]


def _rate(trainer: Trainer) -> str:
    """Examples a second, such as `51,876 pairs/s`."""
    rates = [one.examples_per_second for one in _of_kind(trainer, Throughput)]
    unit = trainer.datamodule.examples_are  # type: ignore[attr-defined]
    return "".join(f"{rate:,.0f} {unit}/s" for rate in rates if rate is not None)


def _of_kind(trainer: Trainer, kind: type[Kind]) -> list[Kind]:
    """The callback of a class, if the training has it."""
    return [one for one in trainer.callbacks if isinstance(one, kind)]  # type: ignore[attr-defined]
