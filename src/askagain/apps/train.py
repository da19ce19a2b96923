"""`train.py`: trains a rung, ranks the validation set before, while and after, and keeps the best encoder."""

import logging
import sys
import warnings
from pathlib import Path
from typing import Any, TypeVar

import pytorch_lightning as pl
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.loggers import WandbLogger
from pytorch_lightning.utilities.exceptions import MisconfigurationException

from askagain.apps.build import build_corpus, data_name, factory
from askagain.apps.evaluate import evaluate_encoder
from askagain.apps.report import prefixed, print_counts, print_figures, write_metrics
from askagain.corpus.corpus import Corpus
from askagain.errors import InputError
from askagain.models.encoder import Encoder
from askagain.models.folder import load_encoder, save_encoder
from askagain.training.best_encoder import BestEncoder
from askagain.training.hits_at_k import HitsAtK

Kind = TypeVar("Kind", bound=pl.Callback)


def train(cfg: DictConfig) -> float:
    """Does what the config says, prints figures, writes metrics.json, and returns the metric `cfg.metric.name`.

    Raises InputError for a mistake in the config or in the data.
    """
    _quieten()
    corpus = build_corpus(cfg)
    metrics = _evaluate_untrained(cfg, corpus) if cfg.get("model") is None else _train(cfg, corpus)
    if cfg.metric.name not in metrics:
        raise InputError(f"metric.name={cfg.metric.name}: no such metric; there are {', '.join(metrics)}")
    write_metrics(Path(cfg.paths.run_dir), metrics)
    return metrics[cfg.metric.name]


def _evaluate_untrained(cfg: DictConfig, corpus: Corpus) -> dict[str, float]:
    """Rung 1: nothing to train; the same encoder with and without preprocessing."""
    encoder = instantiate(cfg.encoder)
    raw = encoder.with_preprocessor(instantiate(cfg.raw))
    rows = {"raw text": _figures(cfg, raw, corpus), "preprocessed text": _figures(cfg, encoder, corpus)}
    print_figures(f"{cfg.name} on {data_name(cfg, corpus.files.ranking('validation'))}", rows, cfg.ties)
    save_encoder(encoder, Path(cfg.paths.run_dir) / "encoder")
    return prefixed("raw/val", rows["raw text"]) | prefixed("val", rows["preprocessed text"])


def _train(cfg: DictConfig, corpus: Corpus) -> dict[str, float]:
    pl.seed_everything(cfg.seed, verbose=False)
    datamodule = factory(cfg, "datamodule")(corpus=corpus)
    counts = datamodule.counts()
    print_counts(f"data: {data_name(cfg, corpus.files.train or corpus.files.ranking('validation'))}", counts)
    learning = {"optimizer": factory(cfg, "optimizer"), "scheduler": factory(cfg, "scheduler")}
    module = factory(cfg, "model")(**datamodule.model_inputs(), **learning)
    trainer = _trainer(cfg)
    try:
        for logger in trainer.loggers:
            logger.log_hyperparams({**_plain(cfg), "data_counts": counts})
        trainer.fit(module, datamodule=datamodule, ckpt_path=_checkpoint(cfg.ckpt_path), weights_only=True)
        metrics = prefixed("data", counts) | {"train/epochs": trainer.current_epoch} | _train_metrics(trainer)
        if not trainer.is_global_zero:
            return metrics | {cfg.metric.name: float(trainer.callback_metrics[cfg.metric.name])}
        return metrics | _report(cfg, corpus, trainer, module)
    finally:
        _close_wandb(trainer)


def _report(cfg: DictConfig, corpus: Corpus, trainer: pl.Trainer, module: pl.LightningModule) -> dict[str, float]:
    """Ranks with the encoder that was kept, prints it beside the start, and returns both."""
    folder = Path(cfg.paths.run_dir) / "encoder"
    if not folder.exists():  # no epoch was trained, or no callback keeps the best encoder
        save_encoder(module.encoder, folder)  # type: ignore[arg-type]
    encoder = load_encoder(folder)
    rows, metrics = {}, {}
    for callback in _callbacks(trainer, HitsAtK):
        rows["validation, before training"] = callback.start
        metrics = prefixed("start", callback.start)
    rows["validation, best epoch"] = _figures(cfg, encoder, corpus, "validation")
    metrics |= prefixed("val", rows["validation, best epoch"])
    if corpus.files.test is not None:
        rows["test, best epoch"] = _figures(cfg, encoder, corpus, "test")
        metrics |= prefixed("test", rows["test, best epoch"])
    for logger in trainer.loggers:
        best = {name: value for name, value in metrics.items() if not name.startswith("start/")}
        logger.log_metrics(prefixed("best", best), step=trainer.global_step)
        logger.finalize("success")
    for keeper in _callbacks(trainer, BestEncoder):
        if keeper.best_epoch is not None:
            metrics["train/best_epoch"] = keeper.best_epoch
    print_figures(f"{cfg.name} on {data_name(cfg, corpus.files.ranking('validation'))}", rows, cfg.ties)
    print(f"encoder: {folder}")
    return metrics


def _trainer(cfg: DictConfig) -> pl.Trainer:
    callbacks = [instantiate(callback) for callback in (cfg.callbacks or {}).values() if callback]
    loggers = [instantiate(logger) for logger in (cfg.logger or {}).values() if logger]
    # HitsAtK must come before the callbacks that look at its figures.
    callbacks.sort(key=lambda callback: not isinstance(callback, HitsAtK))
    on_terminal = sys.stderr.isatty()
    if not on_terminal:  # a bar drawn into a file is noise; HitsAtK logs a line an epoch
        callbacks = [callback for callback in callbacks if not isinstance(callback, pl.callbacks.ProgressBar)]
    settings = {"callbacks": callbacks, "logger": loggers or False, "enable_progress_bar": on_terminal}
    try:
        return factory(cfg, "trainer")(**settings)
    except MisconfigurationException as error:
        raise InputError(f"trainer: {error}") from error


def _train_metrics(trainer: pl.Trainer) -> dict[str, float]:
    """The losses of the last batch and the last epoch."""
    return {name: float(value) for name, value in trainer.callback_metrics.items() if name.startswith("train/")}


def _close_wandb(trainer: pl.Trainer) -> None:
    """Ends the W&B run, so that the next run of a sweep gets one of its own."""
    for logger in trainer.loggers:
        if isinstance(logger, WandbLogger):
            logger.experiment.finish()


def _callbacks(trainer: pl.Trainer, kind: type[Kind]) -> list[Kind]:
    return [callback for callback in trainer.callbacks if isinstance(callback, kind)]  # type: ignore[attr-defined]


def _figures(cfg: DictConfig, encoder: Encoder, corpus: Corpus, split: str = "validation") -> dict[str, float]:
    return evaluate_encoder(encoder, corpus, split, cfg.ks, cfg.ties)


def _checkpoint(path: str | None) -> Path | None:
    """The checkpoint to resume from: a .ckpt file, or the last one of a run folder."""
    if path is None:
        return None
    file = Path(path) / "checkpoints" / "last.ckpt" if Path(path).is_dir() else Path(path)
    if not file.is_file():
        raise InputError(f"ckpt_path={path}: no checkpoint there; give a run folder or RUN/checkpoints/last.ckpt")
    return file


def _plain(cfg: DictConfig) -> dict[str, Any]:
    """The config as plain values."""
    return OmegaConf.to_container(cfg, resolve=True)  # type: ignore[return-value]


def _quieten() -> None:
    """Leaves out what Lightning says of hardware, loggers and workers; batches are cut too fast for workers to help."""
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")
    warnings.filterwarnings("ignore", message=".*LeafSpec.*")
    warnings.filterwarnings("ignore", message=".*exists and is not empty.*")
    warnings.filterwarnings("ignore", message=".*is smaller than the logging interval.*")
