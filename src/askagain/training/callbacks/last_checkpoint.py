"""The callback that keeps the last checkpoint, to resume from."""

from pathlib import Path
from typing import Any

from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import Checkpoint

from askagain.errors import InputError
from askagain.files.writing import atomic_write


def save_whole(trainer: Trainer, path: Path) -> None:
    """Saves a checkpoint, called on every rank; one that stands at `path` stays until the new one is there as a whole.

    Lightning by itself writes to the folder of temporary files, and copies from there where that is on another disk.
    """
    if not trainer.is_global_zero:  # the first rank writes, with what all of them have
        trainer.save_checkpoint(path)
        return
    with atomic_write(path) as temporary:
        trainer.save_checkpoint(temporary)


class LastCheckpoint(Checkpoint):
    """Writes `folder/checkpoints/last.ckpt` at the end of every epoch, and every `every_n_steps` steps (None: not
    within an epoch). A checkpoint holds all that a run needs to go on as if it had not been stopped.
    """

    def __init__(self, folder: str, every_n_steps: int | None) -> None:
        if every_n_steps is not None and every_n_steps < 1:
            raise InputError(f"checkpoint_every_n_steps={every_n_steps}: must be at least 1, or null")
        self.checkpoint = Path(folder) / "checkpoints" / "last.ckpt"
        self.every_n_steps = every_n_steps

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Writes within an epoch; its end writes by itself."""
        stepped = not trainer.fit_loop.epoch_loop._should_accumulate()
        due = self.every_n_steps is not None and trainer.global_step % self.every_n_steps == 0
        if due and stepped and not trainer.is_last_batch:
            save_whole(trainer, self.checkpoint)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Writes when all others have looked at the epoch."""
        save_whole(trainer, self.checkpoint)
