"""`train.py`: trains a rung, ranks the validation set before, while and after, and keeps the best encoder."""

import json
import logging
import math
import sys
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import pytorch_lightning as pl
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.callbacks import LearningRateMonitor, ProgressBar
from pytorch_lightning.loggers import Logger, WandbLogger
from pytorch_lightning.utilities import rank_zero_only
from pytorch_lightning.utilities.exceptions import MisconfigurationException, SIGTERMException
from tqdm.contrib.logging import logging_redirect_tqdm

from askagain.apps.build import build, build_all, build_corpus, build_module, data_name
from askagain.apps.devices import check_devices, device_count, device_type, train_on_devices, world_size
from askagain.apps.process_setup import keep_freed_memory, use_launchers_threads
from askagain.apps.provenance import provenance
from askagain.apps.report import PREFIXES, prefixed, print_counts, print_metrics, write_metrics
from askagain.apps.resume import LAST_CHECKPOINT, resolve_checkpoint
from askagain.apps.sweep import METRICS, group_in_wandb
from askagain.apps.variants import variants
from askagain.corpus.corpus import Corpus
from askagain.corpus.token_store import TokenStore
from askagain.distributed.launch import cluster_environment, node_count, process_group, send_config
from askagain.distributed.strategy import ReplicatedStrategy
from askagain.errors import InputError
from askagain.evaluation.evaluate import evaluate_ranking, ranking_metrics
from askagain.evaluation.worst_ranked import as_table, worst_ranked
from askagain.machine import fastest_precision
from askagain.models.encoder import Encoder
from askagain.models.folder import load_encoder, save_encoder
from askagain.ranking.ranks import Ranks
from askagain.training.callbacks.best_checkpoint import BestCheckpoint
from askagain.training.callbacks.hits_at_k import HitsAtK
from askagain.training.checkpoint_io import AtomicCheckpointIO
from askagain.training.data.datamodule import BagDataModule
from askagain.training.lightning_overhead import NoProfiler

log = logging.getLogger(__name__)

Kind = TypeVar("Kind", bound=pl.Callback)
Figures = dict[str, float]

RATE = "train/examples_per_second"
STOPPED = {SIGTERMException: 143, SystemExit: 130}  # exit status: SIGTERM; Ctrl-C, which Lightning makes SystemExit


def train(cfg: DictConfig) -> float:
    """Does what the config says, prints figures, writes metrics.json, and returns the metric `cfg.metric.name`.

    Raises InputError for a mistake in the config or in the data.
    """
    _prepare_process()
    use_launchers_threads()
    (Path(cfg.paths.run_dir) / METRICS).unlink(missing_ok=True)  # of an earlier run into this folder
    group_in_wandb(cfg)
    corpus = build_corpus(cfg)
    for split in _splits(corpus):
        corpus.ranking(split)  # a mistake in a ranking file is said before anything is trained
    if cfg.get("model") is None:
        metrics = _evaluate_untrained(cfg, corpus)
    else:
        check_devices(cfg)
        resolve_checkpoint(cfg)
        if cfg.trainer.precision == "auto":  # loggers show what it came to
            cfg.trainer.precision = fastest_precision(cfg.trainer.accelerator, cfg.data.batch_size * world_size(cfg))
        environment = cluster_environment()
        if environment is None:
            metrics = _train(cfg, corpus) if device_count(cfg) == 1 else train_on_devices(cfg)
        else:
            rank = environment.global_rank()
            if rank == 0:
                send_config(json.dumps(OmegaConf.to_container(cfg, resolve=True)))
            with process_group(device_type(cfg)):
                metrics = _train(cfg, corpus)
            if rank > 0:  # one of Hydra's launchers has given this rank its config
                return math.nan
    write_metrics(Path(cfg.paths.run_dir), metrics)
    if cfg.metric.name not in metrics:
        raise InputError(f"metric.name={cfg.metric.name}: no such metric; there are {', '.join(metrics)}")
    return metrics[cfg.metric.name]


def train_rank(cfg: DictConfig) -> Figures:
    """Does this process's part of a run that was checked and is shared by several ranks; rank 0 has all metrics.

    Raises InputError as `train` does.
    """
    _prepare_process()
    with process_group(device_type(cfg)):
        return _train(cfg, build_corpus(cfg))


def _prepare_process() -> None:
    _quieten()
    keep_freed_memory()


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
            found = ranking_metrics(made, corpus.ranking(split), cfg.ks, cfg.ties)
            columns[f"{split}, preprocessor={preprocessor}"] = found
            metrics |= prefixed(f"{prefix}{PREFIXES[split]}", found)
    loggers = build_all(cfg, "logger")
    _log_config(loggers, cfg, counts, corpus)
    for logger in loggers:
        logger.log_metrics(metrics, step=0)
        logger.finalize("success")
    _close_wandb(loggers, exit_code=0)
    save_encoder(encoder, _encoder_folder(cfg))
    _show(cfg, corpus, columns)
    return metrics


def _train(cfg: DictConfig, corpus: Corpus) -> Figures:
    pl.seed_everything(cfg.seed, verbose=False)
    datamodule: BagDataModule = build(cfg, "datamodule")(corpus=corpus)
    counts = datamodule.counts()
    module = build_module(cfg, datamodule)
    counts |= module.counts()
    rank_zero_only(print_counts)(f"data: {data_name(cfg, datamodule.description())}", counts)
    trainer = _trainer(cfg)
    exit_code = 1
    try:
        _log_config(trainer.loggers, cfg, counts, corpus)
        _fit(cfg, trainer, module, datamodule)
        metrics = prefixed("data", counts) | _epoch_figures(trainer.callback_metrics)
        metrics["train/epochs"] = trainer.current_epoch
        if trainer.is_global_zero:
            metrics |= _report(cfg, corpus, trainer, module)
        exit_code = 0
        return metrics
    finally:
        _close_wandb(trainer.loggers, exit_code)


def _fit(cfg: DictConfig, trainer: pl.Trainer, module: pl.LightningModule, datamodule: BagDataModule) -> None:
    """Trains; exits with status 130 or 143 and a line where Ctrl-C or SIGTERM ends it."""
    try:
        with logging_redirect_tqdm():  # a line is then written above the progress bar, not into it
            trainer.fit(module, datamodule=datamodule, ckpt_path=cfg.ckpt_path, weights_only=True)
    except SystemExit as stopped:
        run = Path(cfg.paths.run_dir)
        kept = (run / LAST_CHECKPOINT).is_file()
        how = f"ckpt_path={run} goes on from its last checkpoint" if kept else "no checkpoint was written yet"
        log.warning("stopped in epoch %d; %s", trainer.current_epoch, how)
        sys.exit(STOPPED[type(stopped)])
    if trainer.should_stop:
        log.info("stopped early, after epoch %d of %s", trainer.current_epoch - 1, trainer.max_epochs)


def _report(cfg: DictConfig, corpus: Corpus, trainer: pl.Trainer, module: pl.LightningModule) -> Figures:
    """Ranks with the encoder that was kept, prints it beside the start, and returns both."""
    folder = _encoder_folder(cfg)
    best = [
        (callback.best_epoch, callback.metrics)
        for callback in _callbacks(trainer, BestCheckpoint)
        if callback.best_epoch is not None
    ]
    if not best:  # no epoch was trained, or no callback keeps the best encoder; one that is there is another run's
        save_encoder(module.encoder, folder)  # type: ignore[arg-type]
    encoder = load_encoder(folder)
    columns: dict[str, Figures] = {}
    metrics: Figures = {}
    for callback in _callbacks(trainer, HitsAtK):
        columns["validation, before training" if cfg.ckpt_path is None else "validation, resumed"] = callback.start
        metrics = prefixed("start", callback.start)
    kept = "trained" if trainer.global_step else "untrained"
    for epoch, figures in best:
        kept = f"best epoch ({epoch})"
        metrics |= _epoch_figures(figures) | {"train/best_epoch": epoch}
    metrics.pop(RATE, None)  # that of the run is the last epoch's, not the best one's
    for split in _splits(corpus):
        for variant in variants(cfg, encoder):
            found = ranking_metrics(variant.encoder, corpus.ranking(split), cfg.ks, cfg.ties)
            columns[f"{split}, {variant.heading}"] = found
            metrics |= prefixed(variant.prefix + PREFIXES[split], found)
        found, ranks = evaluate_ranking(encoder, corpus.ranking(split), cfg.ks, cfg.ties)
        columns[f"{split}, {kept}"] = found
        metrics |= prefixed(PREFIXES[split], found)
        if split == "validation":
            _log_worst_ranked(cfg, trainer, encoder, corpus.ranking(split), ranks)
    for logger in trainer.loggers:
        of_encoder = {name: value for name, value in metrics.items() if not name.startswith("start/")}
        logger.log_metrics(prefixed("best", of_encoder), step=trainer.global_step)
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
    settings["plugins"] = [AtomicCheckpointIO()]
    environment = cluster_environment()
    if environment is None:
        settings["strategy"] = "auto"
    else:
        settings["strategy"] = ReplicatedStrategy(cluster_environment=environment)
        settings["num_nodes"] = node_count()
        devices = environment.world_size() // node_count()
        if device_count(cfg) != devices:
            settings["devices"] = devices  # torchrun and srun say how many
    if cfg.trainer.get("profiler") is None:
        settings["profiler"] = NoProfiler()
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
    print_metrics(f"{cfg.name} on {data_name(cfg, corpus.ranking('validation').path.parent)}", columns, cfg.ties)
    print(f"encoder: {_encoder_folder(cfg)}")


def _encoder_folder(cfg: DictConfig) -> Path:
    return Path(cfg.paths.run_dir) / "encoder"


@rank_zero_only
def _log_config(loggers: Sequence[Logger], cfg: DictConfig, counts: Figures, corpus: Corpus) -> None:
    if not loggers:
        return
    about = {"data_counts": counts, "provenance": provenance(corpus)}
    for logger in loggers:
        logger.log_hyperparams({**OmegaConf.to_container(cfg, resolve=True), **about})  # type: ignore[dict-item]


def _log_worst_ranked(
    cfg: DictConfig, trainer: pl.Trainer, encoder: Encoder, ranking: TokenStore, ranks: Ranks
) -> None:
    loggers = [logger for logger in trainer.loggers if isinstance(logger, WandbLogger)]
    if loggers:
        wanted = cfg.worst_ranked
        columns, rows = as_table(worst_ranked(encoder, ranking, ranks, wanted.rows, wanted.candidates))
        for logger in loggers:
            logger.log_table("worst_ranked", columns, rows, step=trainer.global_step)


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
        ".*recommended to use `self.log.*sync_dist.*",  # every rank has the figures of all
        ".*The dirpath has changed.*",  # a resumed run has a folder of its own
        ".*your dataloader is not resumable.*",  # the datamodule is
        ".*Total length of `list` across ranks is zero.*",  # nothing is held out
    ):
        warnings.filterwarnings("ignore", message=message)
