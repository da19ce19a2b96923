"""The callback that ranks the validation set at the start and after every epoch."""

import logging
from collections.abc import Sequence

from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.utilities import rank_zero_only

from askagain.corpus.token_store import TokenStore
from askagain.evaluation.evaluate import ranking_metrics

log = logging.getLogger(__name__)

OF_HELD_OUT = ("val/loss", "val/cosine")
SHOWN = ("train/loss_epoch", *OF_HELD_OUT, "hits@1", "hits@10", "hits@100", "mrr")


class HitsAtK(Callback):
    """Logs the figures of the module's `encoder`, such as `val/hits@10` and `val/mrr`, and the `val/seconds` they took.

    The datamodule's `ranking("validation")` is ranked; `ks`, `ties`: see `askagain.ranking.metrics`. Each device ranks
    its share of the rows, and all of them have the figures of all rows. `start` holds the figures before the first
    epoch of this run.
    """

    def __init__(self, ks: Sequence[int], ties: str) -> None:
        self.ks = list(ks)
        self.ties = ties
        self.start: dict[str, float] = {}

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Ranks before anything is trained, or with the weights that training resumes from."""
        self.start = self._rank(trainer, pl_module)
        _log_line("at the start", self.start)
        for logger in trainer.loggers:
            logger.log_metrics({f"val/{name}": value for name, value in self.start.items()}, step=trainer.global_step)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Ranks with the weights of the epoch's end, in time for checkpoints and early stopping to see it."""
        found = self._rank(trainer, pl_module)
        losses = {"train/loss_epoch": float(pl_module.epoch_loss)}  # type: ignore[arg-type]
        losses |= {name: float(value) for name, value in trainer.callback_metrics.items() if name in OF_HELD_OUT}
        _log_line(f"epoch {trainer.current_epoch}", losses | found)
        for name, value in found.items():
            pl_module.log(f"val/{name}", value, prog_bar=name == "mrr")

    def _rank(self, trainer: Trainer, pl_module: LightningModule) -> dict[str, float]:
        ranking: TokenStore = trainer.datamodule.ranking("validation")  # type: ignore[attr-defined]
        return ranking_metrics(pl_module.encoder, ranking, self.ks, self.ties, pl_module.world)  # type: ignore[arg-type]


@rank_zero_only
def _log_line(when: str, values: dict[str, float]) -> None:
    shown = ", ".join(f"{name} {values[name]:.4f}" for name in SHOWN if name in values)
    log.info("%s: %s (ranked in %.1f s)", when, shown, values["seconds"])
