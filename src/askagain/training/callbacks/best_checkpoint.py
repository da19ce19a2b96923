"""The callback that keeps the best epoch: its encoder, ready to use, and its checkpoint."""

import logging
import math
import shutil
from pathlib import Path
from typing import Any

from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import Checkpoint

from askagain.errors import InputError
from askagain.files.writing import atomic_write
from askagain.models.folder import load_encoder, save_encoder
from askagain.training.callbacks.last_checkpoint import save_whole

log = logging.getLogger(__name__)


class BestCheckpoint(Checkpoint):
    """Writes `folder/encoder` and `folder/checkpoints/best.ckpt` whenever `monitor` is better than in any epoch before.

    `mode`: `max` or `min`. A resumed run goes on from the best of the run it resumes, whose encoder it takes over.
    `best_epoch` and `figures` tell of the best epoch: its number, and all that was logged at its end.
    Raises InputError where `monitor` is not among the logged metrics, and for another mode.
    """

    def __init__(self, folder: str, monitor: str, mode: str) -> None:
        if mode not in ("max", "min"):
            raise InputError(f"metric.mode={mode}: not one of max, min")
        self.folder = Path(folder)
        self.monitor = monitor
        self.mode = mode
        self.best_epoch: int | None = None
        self.figures: dict[str, float] = {}

    @property
    def encoder_folder(self) -> Path:
        """Where the best encoder is."""
        return self.folder / "encoder"

    @property
    def checkpoint(self) -> Path:
        """Where the best checkpoint is."""
        return self.folder / "checkpoints" / "best.ckpt"

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Takes over the best encoder of the run that is resumed; where it is gone, the best is sought anew."""
        if self.best_epoch is None or trainer.ckpt_path is None:
            return
        earlier = Path(trainer.ckpt_path).parent.parent
        taken_over = trainer.is_global_zero and self._take_over(earlier, Path(trainer.ckpt_path).with_name("best.ckpt"))
        if not trainer.strategy.broadcast(taken_over):
            self.best_epoch, self.figures = None, {}

    def _take_over(self, run: Path, checkpoint: Path) -> bool:
        try:
            encoder = load_encoder(run)
        except InputError as error:
            log.warning("the best encoder of the resumed run cannot be taken over: %s", error)
            return False
        if run.resolve() == self.folder.resolve():
            return True
        save_encoder(encoder, self.encoder_folder)
        if checkpoint.is_file():
            with atomic_write(self.checkpoint) as temporary:
                shutil.copyfile(checkpoint, temporary)
        return True

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Compares this epoch with the best one so far."""
        figures = {name: float(value) for name, value in trainer.callback_metrics.items()}
        if self.monitor not in figures:
            known = ", ".join(sorted(name for name in figures if name.startswith(("train/", "val/"))))
            raise InputError(f"metric.name={self.monitor}: no such metric; there are {known}")
        if self.best_epoch is None or self._better(figures[self.monitor], self.figures[self.monitor]):
            self.best_epoch, self.figures = trainer.current_epoch, figures
            if trainer.is_global_zero:
                save_encoder(pl_module.encoder, self.encoder_folder)  # type: ignore[arg-type]
            save_whole(trainer, self.checkpoint)

    def _better(self, value: float, than: float) -> bool:
        if math.isnan(than):
            return not math.isnan(value)
        return value > than if self.mode == "max" else value < than

    @property
    def state_key(self) -> str:
        """The best by one metric says nothing of the best by another, so each has a state of its own."""
        return f"{type(self).__qualname__} {self.mode} {self.monitor}"

    def state_dict(self) -> dict[str, Any]:
        """The best epoch and its figures."""
        return {"best_epoch": self.best_epoch, "figures": self.figures}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes up what `state_dict` gave."""
        self.best_epoch, self.figures = state_dict["best_epoch"], state_dict["figures"]
