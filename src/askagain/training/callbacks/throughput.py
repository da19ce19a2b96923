"""The callback that tells how fast training goes."""

import logging
import time
from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer

from askagain.training.modules.base import Batch

log = logging.getLogger(__name__)


class Throughput(Callback):
    """Logs `train/examples_per_second` of every epoch, pairs or words, and with several devices
    `train/bytes_crossed_per_step`, what each of them gives to be added up with the others'.

    The clock runs from the epoch's start to the end of its last batch: it counts reading, computing and logging, and
    neither validation nor ranking nor checkpoints.
    """

    def __init__(self) -> None:
        self._began = 0.0
        self._seconds = 0.0
        self._examples = 0
        self._steps = 0
        self._bytes_before = 0
        self._bytes = 0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Starts the clock also where a run goes on inside an epoch."""
        self.on_train_epoch_start(trainer, pl_module)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Starts the clock."""
        self._began, self._seconds, self._examples, self._steps = time.perf_counter(), 0.0, 0, 0
        self._bytes_before = _bytes_crossed(pl_module)

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Batch, batch_idx: int) -> None:
        """Says once that training has begun."""
        if trainer.global_step == 0 and trainer.is_global_zero:
            log.info("first batch: %d examples, %s batches an epoch", batch.size, trainer.num_training_batches)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        """Looks at the clock."""
        if pl_module.device.type == "cuda" and (trainer.is_last_batch or trainer.global_step == trainer.max_steps):
            torch.cuda.synchronize()  # what was asked for is done only then
        self._seconds = time.perf_counter() - self._began
        self._examples += batch.size
        self._steps += 1
        self._bytes = _bytes_crossed(pl_module) - self._bytes_before

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Logs the rate."""
        if not self._steps:
            return
        pl_module.log("train/examples_per_second", self._examples / self._seconds, rank_zero_only=True)
        if trainer.world_size > 1:
            pl_module.log("train/bytes_crossed_per_step", self._bytes / self._steps, rank_zero_only=True)


def _bytes_crossed(module: LightningModule) -> int:
    return module.world.bytes_crossed  # type: ignore[union-attr, return-value]
