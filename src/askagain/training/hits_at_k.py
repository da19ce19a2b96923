"""The callback that ranks the validation set at the start and after every epoch."""

import logging
import time
from collections.abc import Sequence

from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.utilities import rank_zero_only

from askagain.corpus.token_store import TokenStore
from askagain.models.bag_encoder import BagEncoder
from askagain.ranking.figures import DEFAULT_KS, figures
from askagain.ranking.ranks import rank_duplicates
from askagain.text.bags import Bags

log = logging.getLogger(__name__)

LOSSES = ("train/loss_epoch", "val/loss")


class HitsAtK(Callback):
    """Logs `val/hits@K`, `val/mrr`, `val/ties` (share of rows with a tie) and `val/seconds` of the module's `encoder`.

    The datamodule's `ranking("validation")` is ranked; each distinct text is embedded once. `ks`, `ties`: see
    `askagain.ranking.figures`. Every rank ranks all rows, so that all of them see the same figures.
    `start` holds the figures before the first epoch of this run.
    """

    def __init__(self, ks: Sequence[int] = DEFAULT_KS, ties: str = "expected") -> None:
        self.ks = list(ks)
        self.ties = ties
        self.start: dict[str, float] = {}
        self._bags: Bags | None = None

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Ranks before anything is trained, or with the weights that training resumes from."""
        self.start = self._rank(trainer, pl_module)
        _log_line("before training", self.start)
        for logger in trainer.loggers:
            logger.log_metrics({f"val/{name}": value for name, value in self.start.items()}, step=trainer.global_step)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Ranks with the weights of the epoch's end, in time for checkpoints and early stopping to see it."""
        found = self._rank(trainer, pl_module)
        losses = {name: float(trainer.callback_metrics[name]) for name in LOSSES if name in trainer.callback_metrics}
        _log_line(f"epoch {trainer.current_epoch}", losses | found)
        for name, value in found.items():
            pl_module.log(f"val/{name}", value, prog_bar=name == "mrr")

    def _rank(self, trainer: Trainer, pl_module: LightningModule) -> dict[str, float]:
        began = time.perf_counter()
        ranking: TokenStore = trainer.datamodule.ranking("validation")  # type: ignore[attr-defined]
        encoder: BagEncoder = pl_module.encoder  # type: ignore[assignment]
        if self._bags is None:
            self._bags = ranking.features(encoder.preprocessor, encoder.features)
        ranks = rank_duplicates(encoder.embed(self._bags), ranking.rows.ids, ranking.rows.offsets)
        return figures(ranks, self.ks, self.ties) | {"seconds": time.perf_counter() - began}


@rank_zero_only
def _log_line(when: str, values: dict[str, float]) -> None:
    log.info("%s: %s", when, ", ".join(f"{name} {value:.4f}" for name, value in values.items()))
