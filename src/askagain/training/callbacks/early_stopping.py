"""The callback that stops training when a metric no longer improves."""

from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import EarlyStopping

from askagain.training.callbacks.hits_at_k import is_validated


class StopEarly(EarlyStopping):
    """Lightning's `EarlyStopping`, which counts only epochs that were validated.

    `HitsAtK` ranks at the end of the training epoch, so `check_on_train_epoch_end` must be true.
    """

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if is_validated(trainer):
            super().on_train_epoch_end(trainer, pl_module)
