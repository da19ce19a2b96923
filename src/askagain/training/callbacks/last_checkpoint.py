"""The callback that keeps the last checkpoint, to resume from."""

import os
import shutil
from pathlib import Path
from typing import Any

from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import Checkpoint

from askagain.files.writing import atomic_write
from askagain.training.csv_logger import CsvLogger
from askagain.training.lightning_overhead import row_to_log

ROW = "row_to_log"  # a key of the state in a checkpoint


class LastCheckpoint(Checkpoint):
    """Writes `folder/checkpoints/last.ckpt` at the end of every epoch, and within one every `every_n_steps` steps.

    The one before it stays as `previous.ckpt`, to go on from if the last one is damaged. A checkpoint holds all that a
    run needs to continue as if it had not been stopped. `ModelCheckpoint` can save either after steps or after epochs,
    not after both.
    """

    def __init__(self, folder: str, every_n_steps: int | None) -> None:
        self.checkpoint = Path(folder) / "checkpoints" / "last.ckpt"
        self.every_n_steps = every_n_steps
        self._saved_step = 0
        self._row: dict[str, float] | None = None  # which is logged once the checkpoint is written
        self._has_earlier = False  # whether last.ckpt is of this run, or of the run that it resumes

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._saved_step = trainer.global_step
        resumed = trainer.ckpt_path
        self._has_earlier = resumed is not None and Path(resumed).resolve() == self.checkpoint.resolve()

    def state_dict(self) -> dict[str, Any]:
        return {ROW: self._row}

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Lets the CSV logger of a run that resumes in its own folder have each step of before exactly once."""
        row = checkpoint["callbacks"].get(self.state_key, {}).get(ROW)
        run = Path(str(trainer.ckpt_path)).resolve().parent.parent
        for logger in trainer.loggers:
            if isinstance(logger, CsvLogger) and Path(logger.log_dir).resolve() == run:
                logger.resume_at(checkpoint["global_step"], row)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if self.every_n_steps is None or trainer.is_last_batch:  # the epoch's end follows the last batch
            return
        # With accumulated gradients several batches end at the same step; only the first one follows an update.
        if trainer.global_step % self.every_n_steps == 0 and trainer.global_step != self._saved_step:
            self._save(trainer)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._save(trainer)

    def _save(self, trainer: Trainer) -> None:
        if trainer.fast_dev_run:  # type: ignore[attr-defined]
            return
        self._saved_step = trainer.global_step
        if trainer.is_global_zero and self._has_earlier:
            with atomic_write(self.checkpoint.with_name("previous.ckpt")) as temporary:
                try:
                    os.link(self.checkpoint, temporary)
                except OSError:  # a file system without links
                    shutil.copyfile(self.checkpoint, temporary)
        self._row = row_to_log(trainer)
        for logger in trainer.loggers:
            if isinstance(logger, CsvLogger):
                logger.save()
        trainer.save_checkpoint(self.checkpoint)
        self._has_earlier = True
