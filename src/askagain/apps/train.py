"""`train.py`: trains a rung, ranks the validation set before, while and after, and keeps the best encoder."""

import logging
import sys
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import pytorch_lightning as pl
import torch
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.callbacks import LearningRateMonitor, ProgressBar
from pytorch_lightning.loggers import Logger, WandbLogger
from pytorch_lightning.utilities import rank_zero_only
from pytorch_lightning.utilities.exceptions import MisconfigurationException, SIGTERMException
from tqdm.contrib.logging import logging_redirect_tqdm

from askagain.apps.build import build, build_all, build_corpus, check_common, data_name
from askagain.apps.machine import fastest_precision, keep_freed_memory
from askagain.apps.report import PREFIXES, prefixed, print_counts, print_figures, write_metrics
from askagain.corpus.corpus import Corpus
from askagain.errors import InputError
from askagain.models.folder import load_encoder, save_encoder
from askagain.ranking.figures import check_ties
from askagain.training.evaluation import ranking_figures
from askagain.training.hits_at_k import HitsAtK
from askagain.training.keep_best import KeepBest
from askagain.training.training_data import TrainingData

log = logging.getLogger(__name__)

Kind = TypeVar("Kind", bound=pl.Callback)
Figures = dict[str, float]

RATE = "train/examples_per_second"
STOPPED = {SIGTERMException: 143, SystemExit: 130}  # exit status: SIGTERM; Ctrl-C, which Lightning makes SystemExit


def train(cfg: DictConfig) -> float:
    """Does what the config says, prints figures, writes metrics.json, and returns the metric `cfg.metric.name`.

    Raises InputError for a mistake in the config or in the data.
    """
    _quieten()
    keep_freed_memory()
    if cfg.trainer.precision == "auto":
        cfg.trainer.precision = fastest_precision(cfg.trainer.accelerator)  # loggers show what it came to
    check_common(cfg)
    check_ties(cfg.ties)
    corpus = build_corpus(cfg)
    for split in _splits(corpus):
        corpus.ranking(split)  # a mistake in a ranking file is said before anything is trained
    metrics = _evaluate_untrained(cfg, corpus) if cfg.get("model") is None else _train(cfg, corpus)
    rank_zero_only(write_metrics)(Path(cfg.paths.run_dir), metrics)
    if cfg.metric.name not in metrics:
        raise InputError(f"metric.name={cfg.metric.name}: no such metric; there are {', '.join(metrics)}")
    return metrics[cfg.metric.name]


def _evaluate_untrained(cfg: DictConfig, corpus: Corpus) -> Figures:
    """Rung 1: nothing to train; the same encoder with and without preprocessing."""
    encoder = build(cfg, "encoder")
    counts = corpus.ranking_counts(encoder.features.vocabulary)
    print_counts(f"data: {data_name(cfg, corpus.ranking('validation').path)}", counts)
    raw = encoder.with_preprocessor(build(cfg, "raw"))
    columns: dict[str, Figures] = {}
    metrics = prefixed("data", counts)
    chosen = HydraConfig.get().runtime.choices["preprocessor"]
    for preprocessor, made, prefix in (("none", raw, "raw/"), (chosen, encoder, "")):
        for split in _splits(corpus):
            found = ranking_figures(made, corpus.ranking(split), cfg.ks, cfg.ties)
            columns[f"{split}, preprocessor={preprocessor}"] = found
            metrics |= prefixed(f"{prefix}{PREFIXES[split]}", found)
    loggers = build_all(cfg, "logger")
    _log_config(loggers, cfg, counts)
    for logger in loggers:
        logger.log_metrics(metrics, step=0)
        logger.finalize("success")
    _close_wandb(loggers, exit_code=0)
    save_encoder(encoder, _encoder_folder(cfg))
    _show(cfg, corpus, columns)
    return metrics


def _train(cfg: DictConfig, corpus: Corpus) -> Figures:
    pl.seed_everything(cfg.seed, verbose=False)
    datamodule: TrainingData = build(cfg, "datamodule")(corpus=corpus)
    counts = datamodule.counts()
    rank_zero_only(print_counts)(f"data: {data_name(cfg, datamodule.description())}", counts)
    learning = {"optimizer": build(cfg, "optimizer"), "scheduler": build(cfg, "scheduler")}
    module = build(cfg, "model")(**datamodule.model_inputs(), **learning)
    trainer = _trainer(cfg)
    exit_code = 1
    try:
        _log_config(trainer.loggers, cfg, counts)
        _fit(cfg, trainer, module, datamodule)
        metrics = prefixed("data", counts) | _epoch_figures(trainer.callback_metrics)
        metrics["train/epochs"] = trainer.current_epoch
        if trainer.is_global_zero:
            metrics |= _report(cfg, corpus, trainer, module)
        exit_code = 0
        return metrics
    finally:
        _close_wandb(trainer.loggers, exit_code)


def _fit(cfg: DictConfig, trainer: pl.Trainer, module: pl.LightningModule, datamodule: TrainingData) -> None:
    """Trains; exits with status 130 or 143 and a line where Ctrl-C or SIGTERM ends it."""
    checkpoint = _checkpoint(cfg)
    try:
        with logging_redirect_tqdm():  # a line is then written above the progress bar, not into it
            trainer.fit(module, datamodule=datamodule, ckpt_path=checkpoint, weights_only=True)
    except SystemExit as stopped:
        run = Path(cfg.paths.run_dir)
        whole = (run / "checkpoints" / "last.ckpt").is_file()
        how = f"ckpt_path={run} goes on after its last whole epoch" if whole else "no epoch was finished"
        log.warning("stopped in epoch %d; %s", trainer.current_epoch, how)
        sys.exit(STOPPED[type(stopped)])
    if trainer.should_stop:
        log.info("stopped early, after epoch %d of %s", trainer.current_epoch - 1, trainer.max_epochs)


def _checkpoint(cfg: DictConfig) -> Path | None:
    """The checkpoint to resume from: a .ckpt file, or the last one of a run folder."""
    if cfg.ckpt_path is None:
        return None
    given = Path(str(cfg.ckpt_path))
    file = given / "checkpoints" / "last.ckpt" if given.is_dir() else given
    if not file.is_file():
        raise InputError(f"ckpt_path={given}: no checkpoint there; give a run folder or RUN/checkpoints/last.ckpt")
    try:
        finished = torch.load(file, map_location="cpu", weights_only=True)["epoch"] + 1
    except Exception as error:  # torch.load raises whatever a damaged file makes it raise
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(f"ckpt_path={file}: not a checkpoint of a run ({reason})") from error
    if cfg.trainer.max_epochs is not None and finished >= cfg.trainer.max_epochs:
        log.warning(
            "ckpt_path has all %d epochs that trainer.max_epochs=%d asks for: nothing is trained; set it higher",
            *(finished, cfg.trainer.max_epochs),
        )
    return file


def _report(cfg: DictConfig, corpus: Corpus, trainer: pl.Trainer, module: pl.LightningModule) -> Figures:
    """Ranks with the encoder that was kept, prints it beside the start, and returns both."""
    folder = _encoder_folder(cfg)
    if not folder.exists():  # no epoch was trained, or no callback keeps the best encoder
        save_encoder(module.encoder, folder)  # type: ignore[arg-type]
    encoder = load_encoder(folder)
    columns: dict[str, Figures] = {}
    metrics: Figures = {}
    for callback in _callbacks(trainer, HitsAtK):
        columns["validation, before training" if cfg.ckpt_path is None else "validation, resumed"] = callback.start
        metrics = prefixed("start", callback.start)
    kept = "untrained"
    for keeper in _callbacks(trainer, KeepBest):
        if keeper.best_epoch is not None:
            kept = f"best epoch ({keeper.best_epoch})"
            metrics |= _epoch_figures(keeper.figures) | {"train/best_epoch": keeper.best_epoch}
    metrics.pop(RATE, None)  # that of the run is the last epoch's, not the best one's
    for split in _splits(corpus):
        found = ranking_figures(encoder, corpus.ranking(split), cfg.ks, cfg.ties)
        columns[f"{split}, {kept}"] = found
        metrics |= prefixed(PREFIXES[split], found)
    for logger in trainer.loggers:
        best = {name: value for name, value in metrics.items() if not name.startswith("start/")}
        logger.log_metrics(prefixed("best", best), step=trainer.global_step)
        logger.finalize("success")
    save_encoder(encoder, _encoder_folder(cfg))
    _show(cfg, corpus, columns)
    return metrics


def _trainer(cfg: DictConfig) -> pl.Trainer:
    loggers = build_all(cfg, "logger")
    # HitsAtK must come before the callbacks that look at its figures.
    callbacks = sorted(build_all(cfg, "callbacks"), key=lambda callback: not isinstance(callback, HitsAtK))
    if not loggers:
        callbacks = [callback for callback in callbacks if not isinstance(callback, LearningRateMonitor)]
    on_terminal = sys.stderr.isatty()
    if not on_terminal:  # a bar drawn into a file is noise; HitsAtK logs a line an epoch
        callbacks = [callback for callback in callbacks if not isinstance(callback, ProgressBar)]
    settings = {"callbacks": callbacks, "logger": loggers or False, "enable_progress_bar": on_terminal}
    trainer = build(cfg, "trainer")
    try:
        return trainer(**settings)
    except (MisconfigurationException, ImportError, ValueError, TypeError) as error:
        raise InputError(f"trainer: {error}") from error


def _splits(corpus: Corpus) -> list[str]:
    """The ranking sets of a corpus."""
    return ["validation"] if corpus.files.test is None else ["validation", "test"]


def _epoch_figures(figures: Mapping[str, Any]) -> Figures:
    """What was logged in an epoch: losses, and figures on the validation set."""
    return {name: float(value) for name, value in figures.items() if name.startswith(("train/", "val/"))}


def _callbacks(trainer: pl.Trainer, kind: type[Kind]) -> list[Kind]:
    return [callback for callback in trainer.callbacks if isinstance(callback, kind)]  # type: ignore[attr-defined]


def _show(cfg: DictConfig, corpus: Corpus, columns: Mapping[str, Figures]) -> None:
    print_figures(f"{cfg.name} on {data_name(cfg, corpus.ranking('validation').path.parent)}", columns, cfg.ties)
    print(f"encoder: {_encoder_folder(cfg)}")


def _encoder_folder(cfg: DictConfig) -> Path:
    return Path(cfg.paths.run_dir) / "encoder"


def _log_config(loggers: Sequence[Logger], cfg: DictConfig, counts: Figures) -> None:
    for logger in loggers:
        logger.log_hyperparams({**OmegaConf.to_container(cfg, resolve=True), "data_counts": counts})  # type: ignore[dict-item]


def _close_wandb(loggers: Sequence[Logger], exit_code: int) -> None:
    """Ends the W&B run, so that the next run of a sweep gets one of its own."""
    for logger in loggers:
        if isinstance(logger, WandbLogger):
            logger.experiment.finish(exit_code=exit_code)


def _quieten() -> None:
    """Leaves out what Lightning says of hardware, loggers and workers; batches are cut too fast for workers to help."""
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    for message in (
        ".*does not have many workers.*",
        ".*LeafSpec.*",
        ".*exists and is not empty.*",
        ".*recommended to use `self.log.*sync_dist.*",  # every rank ranks all rows
        ".*The dirpath has changed.*",  # a resumed run has a folder of its own
        ".*Total length of `list` across ranks is zero.*",  # nothing is held out
    ):
        warnings.filterwarnings("ignore", message=message)
