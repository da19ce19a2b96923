"""A callback that notes what each rank really trains with, and fails where it is asked to."""

import json
import os
import time
from pathlib import Path

import torch
from pytorch_lightning import Callback, LightningModule, Trainer


class NoteRank(Callback):
    """Writes `folder/rank-R.json` when training starts; `failing`: RUN/RANK, the run (of a sweep) and rank to fail."""

    def __init__(self, folder: str, failing: str = "") -> None:
        self.folder = Path(folder)
        self.failing = failing

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        loss = getattr(pl_module.loss, "loss", pl_module.loss)  # MatryoshkaLoss wraps another one
        noted = {
            "pid": os.getpid(),
            "temperature": float(loss.temperature),
            "lr": trainer.optimizers[0].param_groups[0]["initial_lr"],
            "batch_size": trainer.datamodule.batch_size,
            "dim": pl_module.encoder.dim,
            "threads": torch.get_num_threads(),
            "world_size": trainer.world_size,
        }
        path = self.folder / f"rank-{trainer.global_rank}.json"
        path.with_suffix(".part").write_text(json.dumps(noted))
        path.with_suffix(".part").rename(path)

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *others: object) -> None:
        if self.failing == f"{self.folder.name}/{trainer.global_rank}":
            raise ArithmeticError("a crash, as this test wants it")


class Slow(Callback):
    """Takes its time over a step, so that a test can stop a run inside an epoch."""

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *others: object) -> None:
        time.sleep(0.1)
