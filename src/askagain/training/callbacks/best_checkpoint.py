"""The callback that keeps the best epoch, or the start: its checkpoint, and its encoder ready to use."""

import logging
import shutil
from ast import literal_eval
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.loggers import TensorBoardLogger

from askagain.errors import InputError
from askagain.files.writing import atomic_write
from askagain.models.folder import load_encoder, save_encoder
from askagain.training.callbacks.hits_at_k import HitsAtK, is_validated

START = -1  # as the best epoch: none was better than the start
HP_METRIC = "hp_metric"  # as which TensorBoard compares runs

log = logging.getLogger(__name__)


class BestCheckpoint(ModelCheckpoint):
    """A `ModelCheckpoint` that writes `folder/checkpoints/best.ckpt`, and the best encoder to `folder/encoder`.

    The start of a run, before its first step, is kept where no epoch is better, as far as `HitsAtK` ranks it by
    `monitor`. A resumed run has no start of its own: it takes over what the run that it resumes has kept. NaN is worse
    than any number. TensorBoard gets the metric that decides as `hp_metric`, by which its table of hyperparameters
    compares runs.

    `folder` is that of the run. `monitor` names the logged metric that decides which epoch is best, such as `val/mrr`;
    InputError at the end of an epoch if it is not logged. `best_epoch` is the number of the best epoch, `START` for the
    start, None where neither is kept yet, and `metrics` is everything that was logged at its end. `is_compared`:
    whether an epoch was compared, without which nothing was chosen.
    """

    def __init__(self, folder: str, monitor: str, mode: str) -> None:
        super().__init__(
            Path(folder) / "checkpoints",
            filename="best",
            monitor=monitor,
            mode=mode,
            save_on_train_epoch_end=True,
            enable_version_counter=False,
        )
        self.folder = Path(folder)
        self.best_epoch: int | None = None
        self.metrics: dict[str, float] = {}
        self.is_compared = False

    @property
    def kept(self) -> str:
        """What is kept, in words."""
        return "the start" if self.best_epoch == START else f"best epoch ({self.best_epoch})"

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self.best_epoch is None or trainer.ckpt_path is None:
            return
        resumed = Path(trainer.ckpt_path)
        taken_over = trainer.is_global_zero and self._take_over(resumed.parent.parent, resumed.with_name("best.ckpt"))
        if not trainer.strategy.broadcast(taken_over):
            self.best_epoch, self.metrics, self.is_compared = None, {}, False
            self.best_model_path, self.best_model_score, self.best_k_models = "", None, {}

    def _take_over(self, run: Path, checkpoint: Path) -> bool:
        """Copies the best encoder and checkpoint of the resumed run; False if its encoder is gone."""
        try:
            encoder = load_encoder(run)
        except InputError as error:
            log.warning("the best encoder of the resumed run cannot be taken over: %s", error)
            return False
        if run.resolve() == self.folder.resolve():
            return True
        save_encoder(encoder, self.folder / "encoder")
        if checkpoint.is_file():
            with atomic_write(Path(self.best_model_path)) as temporary:
                shutil.copyfile(checkpoint, temporary)
        return True

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Keeps the start of a fresh run until an epoch is better."""
        name = str(self.monitor).removeprefix("val/")
        starts = [one.start for one in trainer.callbacks if isinstance(one, HitsAtK)]  # type: ignore[attr-defined]
        if trainer.ckpt_path is not None or trainer.fast_dev_run or not starts or name not in starts[0]:  # type: ignore[attr-defined]
            return
        self.best_epoch = START  # before the checkpoint is written, which holds it
        self.metrics = {f"val/{metric}": value for metric, value in starts[0].items()}
        if trainer.is_global_zero:
            save_encoder(pl_module.encoder, self.folder / "encoder")  # type: ignore[arg-type]
        score = torch.tensor(starts[0][name], dtype=torch.float32, device=pl_module.device)  # as epochs' are logged
        self._update_best_and_save(score, trainer, {})

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not is_validated(trainer):
            return
        score = trainer.callback_metrics.get(str(self.monitor))
        if score is None:
            names = sorted(name for name in trainer.callback_metrics if name.startswith(("train/", "val/")))
            raise InputError(f"monitor={self.monitor}: no such metric; there are {', '.join(names)}")
        for logger in trainer.loggers:
            if isinstance(logger, TensorBoardLogger):
                logger.log_metrics({HP_METRIC: float(score)}, step=trainer.global_step - 1)
        self.is_compared = True
        if self.check_monitor_top_k(trainer, score):
            self.best_epoch = trainer.current_epoch  # before the checkpoint is written, which holds it
            self.metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
            if trainer.is_global_zero:
                save_encoder(pl_module.encoder, self.folder / "encoder")  # type: ignore[arg-type]
        super().on_train_epoch_end(trainer, pl_module)

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Says so where the run to resume chose its best epoch in another way, so that it cannot be taken over."""
        name = type(self).__qualname__
        others = [key.removeprefix(name) for key in checkpoint["callbacks"] if key.startswith(f"{name}{{")]
        if not others or self.state_key in checkpoint["callbacks"] or not trainer.is_global_zero:
            return
        before = literal_eval(others[0])
        log.warning(
            "metric.name=%s metric.mode=%s instead of %s and %s: the best epoch so far is forgotten, and those that "
            "follow are compared",
            *(self.monitor, self.mode, before["monitor"], before["mode"]),
        )

    def state_dict(self) -> dict[str, Any]:
        own = {"best_epoch": self.best_epoch, "metrics": self.metrics, "is_compared": self.is_compared}
        return super().state_dict() | own

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restores the best epoch, with paths in this run's folder, to which `on_fit_start` copies its files."""
        self.best_epoch, self.metrics = state_dict["best_epoch"], state_dict["metrics"]
        if self.best_epoch is None:
            return
        self.is_compared = state_dict.get("is_compared", True)  # an earlier version kept epochs alone
        best = self.format_checkpoint_name({})
        moved = {"dirpath": self.dirpath, "best_model_path": best, "kth_best_model_path": best}
        super().load_state_dict(state_dict | moved | {"best_k_models": {best: state_dict["best_model_score"]}})
