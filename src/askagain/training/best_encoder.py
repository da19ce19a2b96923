"""The callback that keeps the best encoder of a run as a folder that can be used at once."""

import shutil
from pathlib import Path
from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer

from askagain.atomic import replacing
from askagain.errors import InputError
from askagain.models.folder import save_encoder


class BestEncoder(Callback):
    """Saves the module's `encoder` into `folder` whenever `monitor` is better than in every epoch before.

    `mode`: `max` or `min`. Raises InputError where `monitor` is not among the logged metrics.
    """

    def __init__(self, folder: str, monitor: str, mode: str = "max") -> None:
        self.folder = Path(folder)
        self.monitor = monitor
        self.sign = {"max": 1.0, "min": -1.0}[mode]
        self.best: float | None = None
        self.best_epoch: int | None = None
        self._earlier: Path | None = None

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Takes over the best encoder of the run that is resumed; where it is gone, the next epoch is the best."""
        if self._earlier is None or self._earlier == self.folder.resolve():
            return
        if not self._earlier.is_dir():
            self.best = self.best_epoch = None
        elif trainer.is_global_zero:
            with replacing(self.folder) as temporary:
                shutil.copytree(self._earlier, temporary)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Compares this epoch with the best one so far."""
        if self.monitor not in trainer.callback_metrics:
            known = ", ".join(sorted(trainer.callback_metrics))
            raise InputError(f"metric.name={self.monitor}: no such metric; there are {known}")
        value = float(trainer.callback_metrics[self.monitor])
        if self.best is None or self.sign * value > self.sign * self.best:
            self.best, self.best_epoch = value, trainer.current_epoch
            if trainer.is_global_zero:
                save_encoder(pl_module.encoder, self.folder)  # type: ignore[arg-type]

    def state_dict(self) -> dict[str, Any]:
        """The best value so far and where its encoder is, so that a resumed run compares with it."""
        return {"best": self.best, "best_epoch": self.best_epoch, "folder": str(self.folder.resolve())}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes up what `state_dict` gave."""
        self.best, self.best_epoch = state_dict["best"], state_dict["best_epoch"]
        self._earlier = Path(state_dict["folder"])
