"""The callback that logs a histogram of embedding norms to W&B and TensorBoard."""

import numpy as np
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.loggers import TensorBoardLogger, WandbLogger

from askagain.models.table import Table

NAME = "norms/table"


class NormHistograms(Callback):
    """Logs a histogram of the norms of the table's rows, in `bins` bins, after every epoch as `norms/table`.

    Norms that are not finite are left out. Other loggers than those of W&B and TensorBoard get none. W&B accepts at
    most 512 bins.
    """

    def __init__(self, bins: int) -> None:
        self.bins = bins

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        loggers = [logger for logger in trainer.loggers if isinstance(logger, WandbLogger | TensorBoardLogger)]
        if not loggers or not trainer.is_global_zero:
            return
        table: Table = pl_module.encoder.table  # type: ignore[union-attr, assignment]
        norms = np.linalg.norm(table.rows, axis=1)
        norms = norms[np.isfinite(norms)]
        step = trainer.global_step - 1  # that of the epoch's other metrics: of its last batch
        for logger in loggers:
            if isinstance(logger, TensorBoardLogger):
                logger.experiment.add_histogram(NAME, norms, step, bins=self.bins)
            else:
                import wandb  # slow to import

                histogram = wandb.Histogram(norms, num_bins=self.bins)
                logger.log_metrics({NAME: histogram}, step=step)  # type: ignore[dict-item]
