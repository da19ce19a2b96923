"""The callback that logs the throughput of training."""

import logging
import time
from collections.abc import Callable
from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer

from askagain.training.modules.base import Batch

log = logging.getLogger(__name__)


class Throughput(Callback):
    """Logs `train/examples_per_second` of every epoch, and the bytes that each of several devices sends in a step.

    The bytes are `train/bytes_crossed_per_step`: the size of the tensors given to `all_reduce`. The clock, in seconds,
    runs from the start of the epoch to the end of its last batch. It covers reading, computing and logging, but not
    validation, ranking and checkpoints.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._seconds, self._examples, self._steps = 0.0, 0, 0

    @property
    def examples_per_second(self) -> float | None:
        """Of the epoch so far; None before its first batch has ended."""
        return self._examples / self._seconds if self._seconds else None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.on_train_epoch_start(trainer, pl_module)  # which Lightning leaves out where it resumes within an epoch

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._began, self._seconds, self._examples, self._steps = self._clock(), 0.0, 0, 0
        self._bytes_before = _bytes_crossed(pl_module)

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Batch, batch_idx: int) -> None:
        if trainer.global_step == 0 and trainer.is_global_zero:
            log.info("first batch: %d examples, %s batches an epoch", batch.size, trainer.num_training_batches)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        if pl_module.device.type == "cuda" and (trainer.is_last_batch or trainer.global_step == trainer.max_steps):
            torch.cuda.synchronize()  # kernels run asynchronously
        self._seconds = self._clock() - self._began
        self._examples += batch.size
        self._steps += 1
        self._bytes = _bytes_crossed(pl_module) - self._bytes_before

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not self._steps:
            return
        pl_module.log("train/examples_per_second", self._examples / self._seconds, rank_zero_only=True)
        if trainer.world_size > 1:
            pl_module.log("train/bytes_crossed_per_step", self._bytes / self._steps, rank_zero_only=True)


def _bytes_crossed(module: LightningModule) -> int:
    return module.world.bytes_crossed  # type: ignore[union-attr, return-value]
