"""The callback that ranks: the validation set at the start and after every epoch, and any set when asked to."""

import logging
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.trainer.states import TrainerFn
from pytorch_lightning.utilities import rank_zero_only

from askagain.corpus.token_store import TokenStore
from askagain.distributed.collectives import World
from askagain.errors import InputError
from askagain.evaluation.evaluate import evaluate_ranking
from askagain.models.bag_encoder import BagEncoder
from askagain.ranking.metrics import Metrics, OwnMetrics, per_query_metrics
from askagain.ranking.ranks import Ranks

log = logging.getLogger(__name__)

HELD_OUT_METRICS = ("val/loss", "val/cosine")
PRINTED = ("loss", *HELD_OUT_METRICS, "hits@10", "mrr")


class HitsAtK(Callback):
    """Logs Hits@K, MRR and the share of ties of the module's `encoder`, and the seconds that ranking took.

    `trainer.fit` and `trainer.validate` log `val/hits@10`, `val/mrr`... of the ranking set `validation`; `trainer.test`
    logs `test/hits@10`... of the set `test`. The devices share the rows, and each gets the metrics of all rows.

    `ks`: the values of K. `ties`: how candidates that tie with the duplicate count, see
    `askagain.ranking.metrics.hits_at_k`. `own`: metrics of your own, see `per_query_metrics` there. `prefix`: of the
    metrics that `trainer.fit` logs, for a datamodule that gives no more than a sample of the set. `start` are the
    metrics before the first epoch of this run, and `start_ranks` the ranks by ranking set, `test` among them where the
    corpus has one; `latest` are the newest metrics. With `Trainer(check_val_every_n_epoch=2)` every second epoch is
    ranked.

    `epochs` is what a report draws, from the start on, and is part of checkpoints: a resumed run has the epochs before
    it. Each has the number of epochs `trained` until then, its `losses` by name and, where it was ranked, the `rows`
    and the `moments` of Hits@K and MRR: their mean over rows, and the mean of their squares.
    """

    def __init__(
        self, ks: Sequence[int], ties: str = "expected", own: OwnMetrics | None = None, prefix: str = "val"
    ) -> None:
        self.ks = list(ks)
        self.prefix = prefix
        self.ties = ties
        self.own = dict(own or {})
        self.start: Metrics = {}
        self.latest: Metrics = {}
        self.start_ranks: dict[str, Ranks] = {}
        self.epochs: list[dict[str, Any]] = []

    def state_dict(self) -> dict[str, Any]:
        return {"epochs": self.epochs}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.epochs = list(state_dict["epochs"])

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Ranks with the initial weights, or with those that training resumes from.

        Raises InputError where these are not finite or too large.
        """
        encoder: BagEncoder = pl_module.encoder  # type: ignore[assignment]
        if not encoder.is_finite:
            remedy = "lower model.init_std" if trainer.ckpt_path is None else _earlier(Path(trainer.ckpt_path))
            raise InputError(f"at the start the encoder's weights are not finite or too large to rank with: {remedy}")
        self.start, self.start_ranks["validation"] = self._rank(trainer, encoder, "validation")
        is_whole = self.prefix == "val"
        if is_whole and trainer.datamodule.corpus.files.test is not None:  # type: ignore[attr-defined]
            self.start_ranks["test"] = self._rank(trainer, encoder, "test")[1]
        self.latest = self.start
        _print("at the start", self.start)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Logs the metrics of the start, at the step that training starts or goes on from."""
        if not self.epochs:
            moments = self._moments(self.start_ranks["validation"])
            self.epochs.append({"trained": trainer.current_epoch, "losses": {}, **moments})
        for logger in trainer.loggers:
            logger.log_metrics(
                {f"{self.prefix}/{name}": value for name, value in self.start.items()}, step=trainer.global_step
            )

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Ranks before the callbacks that save checkpoints or stop early look at the metrics.

        Where training has diverged it ends, and the best so far is kept. Raises InputError in the first epoch.
        """
        encoder: BagEncoder = pl_module.encoder  # type: ignore[assignment]
        if not encoder.is_finite:
            self._end_diverged(trainer, pl_module)
            return
        losses = {"loss": float(pl_module.epoch_loss)}  # type: ignore[arg-type]
        self.epochs.append({"trained": trainer.current_epoch + 1, "losses": losses})
        if not is_validated(trainer):
            return
        metrics, ranks = self._rank(trainer, encoder, "validation")
        self.latest = metrics
        losses |= {name: float(value) for name, value in trainer.callback_metrics.items() if name in HELD_OUT_METRICS}
        self.epochs[-1] |= self._moments(ranks)
        _print(f"epoch {trainer.current_epoch}", losses | metrics)
        _log(pl_module, self.prefix, metrics)

    def _end_diverged(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Logs NaN as the metrics of an epoch after which the encoder's weights are of no use."""
        epoch = trainer.current_epoch
        what = f"training diverged in epoch {epoch}: the encoder's weights are not finite or too large to rank with"
        if not any(getattr(callback, "is_compared", False) for callback in trainer.callbacks):  # type: ignore[attr-defined]
            raise InputError(f"{what}; lower optimizer.lr")
        rank_zero_only(log.warning)("%s; the best before it is kept: lower optimizer.lr", what)
        trainer.should_stop = True
        _log(pl_module, self.prefix, dict.fromkeys(self.start, math.nan))

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.state.fn == TrainerFn.VALIDATING:  # in `trainer.fit`, the end of the training epoch ranks
            _log(pl_module, "val", self._rank(trainer, pl_module.encoder, "validation")[0])  # type: ignore[arg-type]

    def on_test_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        _log(pl_module, "test", self._rank(trainer, pl_module.encoder, "test")[0])  # type: ignore[arg-type]

    def _moments(self, ranks: Ranks) -> dict[str, Any]:
        """What intervals of the metrics are made of."""
        values = per_query_metrics(ranks, self.ks, self.ties)
        drawn = {name: value for name, value in values.items() if name.startswith("hits@") or name == "mrr"}
        moments = {name: [float(np.mean(value)), float(np.mean(value**2))] for name, value in drawn.items()}
        return {"rows": len(values["mrr"]), "moments": moments}

    def _rank(self, trainer: Trainer, encoder: BagEncoder, split: str) -> tuple[Metrics, Ranks]:
        ranking: TokenStore = trainer.datamodule.ranking(split)  # type: ignore[attr-defined]
        world: World = trainer.lightning_module.world  # type: ignore[assignment]
        return evaluate_ranking(encoder, ranking, self.ks, self.ties, world, self.own)


def _earlier(checkpoint: Path) -> str:
    """What to resume from instead of a checkpoint whose weights are of no use."""
    files = (checkpoint.with_name(name) for name in ("previous.ckpt", "best.ckpt"))
    words = [f"ckpt_path={file}" for file in files if file.is_file() and file != checkpoint]
    return f"type {' or '.join(words)}" if words else "start without ckpt_path, and lower optimizer.lr"


def is_validated(trainer: Trainer) -> bool:
    """Whether the current epoch ends with a validation, see `Trainer(check_val_every_n_epoch)`."""
    every = trainer.check_val_every_n_epoch
    return every is None or (trainer.current_epoch + 1) % every == 0


def _log(module: LightningModule, prefix: str, metrics: dict[str, float]) -> None:
    for name, value in metrics.items():
        module.log(f"{prefix}/{name}", value, prog_bar=name == "mrr")


@rank_zero_only
def _print(when: str, metrics: dict[str, float]) -> None:
    """Logs a line that fits into 80 columns."""
    names = [name for name in PRINTED if name in metrics]
    if "val/cosine" in names:
        names.remove("val/loss")
    log.info("%s: %s", when, ", ".join(f"{name} {metrics[name]:.4f}" for name in names))
