"""The callback that keeps the model of the best epoch of a fine-tuning."""

from pathlib import Path

from pytorch_lightning import Callback, LightningModule, Trainer

from askagain.errors import InputError
from askagain.training.callbacks.hits_at_k import is_validated


class BestModel(Callback):
    """Writes the model of the best epoch so far to `folder/model`, which sentence-transformers loads.

    It writes no checkpoint: with the state of its optimizer a model takes three times as much room. `folder` is that of
    the run. `monitor` names the logged metric that decides which epoch is best; InputError at the end of an epoch if it
    is not logged. `mode`: `max` or `min`. `best_epoch` is the number of the best epoch, None before the first one, and
    `metrics` is everything that was logged at its end.
    """

    def __init__(self, folder: str, monitor: str, mode: str) -> None:
        self.folder = Path(folder)
        self.monitor = monitor
        self.sign = -1 if mode == "min" else 1
        self.best_epoch: int | None = None
        self.metrics: dict[str, float] = {}

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not is_validated(trainer):
            return
        if self.monitor not in trainer.callback_metrics:
            names = sorted(name for name in trainer.callback_metrics if name.startswith(("sample/", "train/", "val/")))
            raise InputError(f"monitor={self.monitor}: no such metric; there are {', '.join(names)}")
        metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
        is_better = self.best_epoch is None or (
            self.sign * metrics[self.monitor] > self.sign * self.metrics[self.monitor]
        )
        if is_better:
            self.best_epoch, self.metrics = trainer.current_epoch, metrics
            pl_module.save(self.folder / "model")  # type: ignore[operator]
