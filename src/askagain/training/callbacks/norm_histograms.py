"""The callback that logs a histogram of embedding norms to W&B."""

import numpy as np
import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.loggers import WandbLogger

NAME = "norms/table"


class NormHistograms(Callback):
    """Logs a histogram of the norms of the table's rows, in `bins` bins, after every epoch as `norms/table`.

    Without a W&B logger it does nothing. W&B accepts at most 512 bins.
    """

    def __init__(self, bins: int) -> None:
        self.bins = bins

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        loggers = [logger for logger in trainer.loggers if isinstance(logger, WandbLogger)]
        if not loggers or not trainer.is_global_zero:
            return
        import wandb  # slow to import, and installed only if its logger is used

        counts, edges = norm_histogram(pl_module.encoder.bag.weight, self.bins)  # type: ignore[union-attr, arg-type]
        for logger in loggers:
            histogram = wandb.Histogram(np_histogram=(counts, edges))
            # The step of the epoch's other metrics is that of its last batch.
            logger.log_metrics({NAME: histogram}, step=trainer.global_step - 1)  # type: ignore[dict-item]


@torch.no_grad()
def norm_histogram(table: torch.Tensor, bins: int) -> tuple[np.ndarray, np.ndarray]:
    """Counts the norms of the rows of `table`, [rows, dim]: counts [bins] and bin edges [bins + 1].

    Norms that are not finite are left out.
    """
    norms = torch.linalg.vector_norm(table, dim=1).cpu().numpy()
    return np.histogram(norms[np.isfinite(norms)], bins=bins)
