"""`train.py`: trains an encoder, ranks the validation set before, during and after, and keeps the best epoch."""

import json
import logging
import math
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.callbacks import Checkpoint, LearningRateMonitor, ModelSummary, ProgressBar
from pytorch_lightning.utilities import rank_zero_only
from pytorch_lightning.utilities.exceptions import MisconfigurationException, SIGTERMException

from askagain.apps.build import (
    build,
    build_all,
    build_corpus,
    build_module,
    build_own_metrics,
    data_name,
    import_modules,
)
from askagain.apps.devices import check_devices, device_count, device_type, train_on_devices
from askagain.apps.finetune import is_fine_tuning, prepare_fine_tuning, ranked_tuned
from askagain.apps.next_steps import ENCODER, print_next_steps
from askagain.apps.process_setup import set_up_process, use_launchers_threads
from askagain.apps.provenance import provenance
from askagain.apps.report import (
    PREFIXES,
    keep_metrics,
    prefixed,
    print_config,
    print_counts,
    print_metrics,
    say_metrics,
)
from askagain.apps.resume import LAST_CHECKPOINT, resolve_checkpoint
from askagain.apps.run_logs import continue_logs, finish, log_config, log_results, log_worst_ranked, note_logs
from askagain.apps.run_report import Result, leave_report
from askagain.apps.sweep import group_in_wandb
from askagain.apps.variants import variants
from askagain.apps.verdict import Compared, Outcome, baseline, compared_with, published_lines, verdict
from askagain.corpus.corpus import Corpus
from askagain.distributed.collectives import World
from askagain.distributed.launch import cluster_environment, node_count, process_group, send_config
from askagain.distributed.strategy import ReplicatedStrategy
from askagain.errors import InputError
from askagain.evaluation.evaluate import evaluate_ranking, ranking_metrics
from askagain.evaluation.worst_ranked import as_table, worst_ranked
from askagain.files.memory import free_memory
from askagain.files.progress import draws_bars
from askagain.machine import fastest_precision
from askagain.models.folder import load_encoder, save_encoder
from askagain.ranking.metrics import compute_metrics
from askagain.ranking.ranks import Ranks
from askagain.training.callbacks.best_checkpoint import BestCheckpoint
from askagain.training.callbacks.hits_at_k import HELD_OUT_METRICS, HitsAtK
from askagain.training.checkpoint_io import AtomicCheckpointIO
from askagain.training.data.datamodule import BagDataModule
from askagain.training.lightning_overhead import NoProfiler
from askagain.training.modules.base import RetrievalModule
from askagain.training.modules.finetune import FineTuning

log = logging.getLogger(__name__)

Metrics = dict[str, float]

VECTOR_COPIES = 12  # of an example's float32 vector: two texts, scaled, with gradients
RATE = "train/examples_per_second"
TERMINATED = 143
STOPPED = {SIGTERMException: TERMINATED, SystemExit: 130}  # exit status; Lightning turns Ctrl-C into SystemExit


def train(cfg: DictConfig) -> float:
    """Trains as the config says, prints and writes the metrics, and returns the one that `metric.name` names.

    Raises InputError for a mistake in the config or in the data.
    """
    set_up_process()
    use_launchers_threads()
    group_in_wandb(cfg)
    print_config(cfg)
    import_modules(cfg)
    build_own_metrics(cfg)  # refuses a bad one by its own name, before the callback that takes them all
    corpus = build_corpus(cfg)
    _check_metric_names(cfg, corpus)
    for split in _splits(corpus):
        corpus.ranking(split)  # refuses a bad ranking file before anything is trained
    if cfg.get("model") is None:
        metrics = _evaluate_untrained(cfg, corpus)
    else:
        check_devices(cfg)
        environment = cluster_environment()
        size = device_count(cfg) if environment is None else environment.world_size()
        if is_fine_tuning(cfg):
            prepare_fine_tuning(cfg, size)
        resolve_checkpoint(cfg)
        continue_logs(cfg)
        if cfg.trainer.precision == "auto":  # so that loggers show the precision that is used
            cfg.trainer.precision = fastest_precision(cfg.trainer.accelerator, cfg.data.batch_size * size)
        if environment is None:
            metrics = _train(cfg, corpus) if size == 1 else train_on_devices(cfg)
        else:
            rank = environment.global_rank()
            if rank == 0:
                send_config(json.dumps(OmegaConf.to_container(cfg, resolve=True)))
            with process_group(device_type(cfg)):
                metrics = _train(cfg, corpus)
            if rank > 0:  # started by one of Hydra's launchers; rank 0 reports
                return math.nan
    print_next_steps(cfg, corpus)  # here, a report that is written is named
    say_metrics(Path(cfg.paths.run_dir))
    return _chosen(cfg, metrics)


def _check_metric_names(cfg: DictConfig, corpus: Corpus) -> None:
    """Raises InputError, before anything is trained, for a chosen metric of the ranking sets that there is not."""
    one_query = Ranks(np.zeros(1, dtype=np.int64), np.zeros(1, dtype=np.int64))
    names = [*compute_metrics(one_query, cfg.ks, cfg.ties, build_own_metrics(cfg)), "seconds"]
    known = [f"{PREFIXES[split]}/{name}" for split in _splits(corpus) for name in names] + [*HELD_OUT_METRICS]
    for key in ("metric.name", "optimized_metric"):
        chosen = str(OmegaConf.select(cfg, key))
        if chosen.partition("/")[0] in PREFIXES.values() and chosen not in known:
            raise InputError(f"{key}={chosen}: no such metric; there are {', '.join(known)}")


def train_rank(cfg: DictConfig) -> Metrics:
    """Trains as one of several ranks of a run that rank 0 has checked; rank 0 returns all metrics."""
    set_up_process()
    import_modules(cfg)
    with process_group(device_type(cfg)):
        return _train(cfg, build_corpus(cfg))


def _chosen(cfg: DictConfig, metrics: Metrics) -> float:
    """The metric that a sweep compares."""
    if cfg.optimized_metric not in metrics:
        key = "metric.name" if cfg.optimized_metric == cfg.metric.name else "optimized_metric"
        raise InputError(f"{key}={cfg.optimized_metric}: no such metric; there are {', '.join(metrics)}")
    return metrics[cfg.optimized_metric]


def _evaluate_untrained(cfg: DictConfig, corpus: Corpus) -> Metrics:
    """Ranks with an encoder that needs no training, with and without preprocessing."""
    encoder = build(cfg, "encoder")
    counts = corpus.ranking_counts(encoder.features.vocabulary)
    print_counts(f"data: {data_name(cfg, corpus.ranking('validation').path)}", counts)
    raw = encoder.with_preprocessor(build(cfg, "raw"))
    own = build_own_metrics(cfg)
    columns: dict[str, Metrics] = {}
    metrics = prefixed("data", counts)
    all_ranks: dict[str, Ranks] = {}  # in the end, those on preprocessed text
    for heading, variant, prefix in (("raw", raw, "raw/"), ("preprocessed", encoder, "")):
        for split in _splits(corpus):
            column, all_ranks[split] = evaluate_ranking(variant, corpus.ranking(split), cfg.ks, cfg.ties, own=own)
            columns[f"{PREFIXES[split]}, {heading}"] = column
            metrics |= prefixed(f"{prefix}{PREFIXES[split]}", column)
    loggers = build_all(cfg, "logger")
    config = _loggable(cfg, counts, corpus)
    log_config(loggers, config)
    log_results(loggers, config, metrics, _chosen(cfg, metrics), step=0)
    save_encoder(encoder, _encoder_folder(cfg))
    compared = _show(cfg, corpus, columns, Outcome(all_ranks))
    keep_metrics(Path(cfg.paths.run_dir), metrics)
    worst = worst_ranked(encoder, corpus.ranking("validation"), all_ranks["validation"], **cfg.worst_ranked)
    leave_report(cfg, corpus, Result(encoder, cfg.name, all_ranks, compared, worst), metrics, config, loggers, step=0)
    for logger in loggers:
        logger.finalize("success")
    finish(loggers, exit_code=0)
    return metrics


def _train(cfg: DictConfig, corpus: Corpus) -> Metrics:
    pl.seed_everything(cfg.seed, verbose=False)
    datamodule: BagDataModule = build(cfg, "datamodule")(corpus=corpus)
    counts = datamodule.counts()
    module = build_module(cfg, datamodule)
    counts |= module.counts()
    rank_zero_only(print_counts)(f"data: {data_name(cfg, datamodule.description())}", counts)
    _refuse_large_batches(cfg, datamodule, module)
    trainer = _trainer(cfg)
    exit_code = 1
    try:
        config = _loggable(cfg, counts, corpus) if trainer.is_global_zero else {}
        log_config(trainer.loggers, config)
        if trainer.is_global_zero:
            note_logs(cfg, trainer.loggers)
        _fit(cfg, trainer, module, datamodule)
        metrics = prefixed("data", counts) | _epoch_metrics(trainer.callback_metrics)
        metrics["train/epochs"] = trainer.current_epoch
        if isinstance(module, FineTuning):
            metrics |= _report_tuned(cfg, corpus, trainer, module, config)
            keep_metrics(Path(cfg.paths.run_dir), metrics)
        elif trainer.is_global_zero:
            of_ranking, result = _report(cfg, corpus, trainer, module, config)
            metrics |= of_ranking
            keep_metrics(Path(cfg.paths.run_dir), metrics)
            leave_report(cfg, corpus, result, metrics, config, trainer.loggers, trainer.global_step)
        if trainer.is_global_zero:
            for logger in trainer.loggers:
                logger.finalize("success")
        exit_code = 0
        return metrics
    finally:
        finish(trainer.loggers, exit_code)


def _refuse_large_batches(cfg: DictConfig, datamodule: BagDataModule, module: RetrievalModule) -> None:
    """Raises InputError where a batch's vectors, and what the loss makes of them, would not fit into a CPU's memory."""
    if device_type(cfg) != "cpu":
        return
    examples = min(cfg.data.batch_size * World.current().size, len(datamodule.train_examples))
    needed, free = examples * module.dim * VECTOR_COPIES * 4, free_memory()
    if free is not None and needed > free:
        raise InputError(
            f"data.batch_size={cfg.data.batch_size}: a step on {examples:,} examples takes about "
            f"{needed / 2**30:,.1f} GiB of memory, and {free / 2**30:,.1f} GiB are free; lower data.batch_size"
        )


def _fit(cfg: DictConfig, trainer: pl.Trainer, module: pl.LightningModule, datamodule: BagDataModule) -> None:
    """Trains; exits with status 130 or 143 and a line where Ctrl-C or SIGTERM ends it."""
    try:
        trainer.fit(module, datamodule=datamodule, ckpt_path=cfg.ckpt_path, weights_only=True)
    except MisconfigurationException as error:
        raise InputError(f"trainer: {error}") from error
    except InputError as error:  # the best checkpoint's monitor is typed as metric.name
        raise InputError(str(error).replace("monitor=", "metric.name=", 1)) from error
    except ValueError as error:
        if "`val_check_interval`" not in str(error):
            raise
        interval = f"trainer.val_check_interval={cfg.trainer.val_check_interval}"
        raise InputError(f"{interval}: more than the {trainer.num_training_batches} batches of an epoch") from error
    except SystemExit as stopped:
        run = Path(cfg.paths.run_dir)
        remedy = "no checkpoint was written yet"
        if (run / LAST_CHECKPOINT).is_file():
            remedy = f"ckpt_path={run} goes on from its last checkpoint"
        log.warning("stopped in epoch %d; %s", trainer.current_epoch, remedy)
        sys.exit(TERMINATED if stopped.code == TERMINATED else STOPPED[type(stopped)])
    if cfg.trainer.get("profiler") is not None and trainer.is_global_zero:
        print(trainer.profiler.summary())  # type: ignore[attr-defined]
    if trainer.should_stop:
        log.info("stopped early, after epoch %d of %s", trainer.current_epoch - 1, trainer.max_epochs)


def _report(
    cfg: DictConfig, corpus: Corpus, trainer: pl.Trainer, module: pl.LightningModule, config: dict[str, Any]
) -> tuple[Metrics, Result]:
    """Ranks with the encoder that was kept, prints its metrics beside those of the start, and returns both."""
    folder = _encoder_folder(cfg)
    callbacks: list[pl.Callback] = trainer.callbacks  # type: ignore[attr-defined]
    best = [one for one in callbacks if isinstance(one, BestCheckpoint) and one.best_epoch is not None]
    if not best:  # no epoch was trained or kept; an encoder in the folder would be that of another run
        save_encoder(module.encoder, folder)  # type: ignore[arg-type]
    encoder = load_encoder(folder)
    columns: dict[str, Metrics] = {}
    metrics: Metrics = {}
    start, epochs = None, []
    for hits_at_k in (one for one in callbacks if isinstance(one, HitsAtK)):
        start, epochs = hits_at_k.start_ranks, hits_at_k.epochs
        columns["val, before training" if cfg.ckpt_path is None else "val, resumed"] = hits_at_k.start
        metrics = prefixed("start", hits_at_k.start)
    kept, kept_after = "trained" if trainer.global_step else "untrained", None
    for checkpoint in best:
        kept, kept_after = f"best epoch ({checkpoint.best_epoch})", checkpoint.best_epoch + 1  # type: ignore[operator]
        metrics |= _epoch_metrics(checkpoint.metrics)
        metrics["train/best_epoch"] = checkpoint.best_epoch  # type: ignore[assignment]
    metrics.pop(RATE, None)  # the run's rate is that of its last epoch
    own = build_own_metrics(cfg)
    all_ranks: dict[str, Ranks] = {}
    for split in _splits(corpus):
        for variant in variants(cfg, encoder):
            column = ranking_metrics(variant.encoder, corpus.ranking(split), cfg.ks, cfg.ties, own=own)
            if split == "validation":  # those of the test set are in metrics.json
                columns[f"{PREFIXES[split]}, {variant.heading}"] = column
            metrics |= prefixed(variant.prefix + PREFIXES[split], column)
        column, all_ranks[split] = evaluate_ranking(encoder, corpus.ranking(split), cfg.ks, cfg.ties, own=own)
        columns[f"{PREFIXES[split]}, {kept}"] = column
        metrics |= prefixed(PREFIXES[split], column)
    worst = worst_ranked(encoder, corpus.ranking("validation"), all_ranks["validation"], **cfg.worst_ranked)
    log_worst_ranked(trainer.loggers, as_table(worst), trainer.global_step)
    encoder_metrics = {name: value for name, value in metrics.items() if not name.startswith("start/")}
    chosen = metrics.get(cfg.optimized_metric, math.nan)
    log_results(trainer.loggers, config, prefixed("best", encoder_metrics), chosen, trainer.global_step)
    compared = _show(cfg, corpus, columns, Outcome(all_ranks, start, trainer.num_training_batches))
    return metrics, Result(encoder, kept, all_ranks, compared, worst, epochs, kept_after)


def _report_tuned(
    cfg: DictConfig, corpus: Corpus, trainer: pl.Trainer, module: FineTuning, config: dict[str, Any]
) -> Metrics:
    """Ranks with the model that was kept, prints its metrics beside those of the teacher, and returns both."""
    tuned = ranked_tuned(cfg, corpus, trainer, module)
    results = {name: value for name, value in tuned.metrics.items() if not name.startswith("start/")}
    chosen = results.get(cfg.optimized_metric, math.nan)
    log_results(trainer.loggers, config, prefixed("best", results), chosen, trainer.global_step)
    _show(cfg, corpus, tuned.columns, tuned.outcome)
    return tuned.metrics


def _trainer(cfg: DictConfig) -> pl.Trainer:
    loggers = build_all(cfg, "logger")
    # HitsAtK comes before the callbacks that read its metrics.
    callbacks = sorted(build_all(cfg, "callbacks"), key=lambda callback: not isinstance(callback, HitsAtK))
    if not loggers:
        callbacks = [callback for callback in callbacks if not isinstance(callback, LearningRateMonitor)]
    if not draws_bars():  # HitsAtK logs a line an epoch
        callbacks = [callback for callback in callbacks if not isinstance(callback, ProgressBar)]
    settings: dict[str, Any] = {"callbacks": callbacks, "logger": loggers or False}
    settings |= {"plugins": [AtomicCheckpointIO()], "strategy": "auto"}
    settings["enable_checkpointing"] = any(isinstance(callback, Checkpoint) for callback in callbacks)
    settings["enable_progress_bar"] = any(isinstance(callback, ProgressBar) for callback in callbacks)
    if any(isinstance(callback, ModelSummary) for callback in callbacks):
        settings["enable_model_summary"] = True
    environment = cluster_environment()
    if environment is not None:
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
    """The ranking sets to report."""
    return ["validation", "test"] if corpus.files.test is not None else ["validation"]


def _epoch_metrics(logged: Mapping[str, Any]) -> Metrics:
    """The losses and validation metrics among what was logged in an epoch."""
    return {name: float(value) for name, value in logged.items() if name.startswith(("train/", "val/"))}


def _show(cfg: DictConfig, corpus: Corpus, columns: Mapping[str, Metrics], outcome: Outcome) -> list[Compared]:
    """Prints what came of a run; returns what it was compared with on the validation rows."""
    title = f"{cfg.name} on {data_name(cfg, corpus.ranking('validation').path.parent)}"
    kept = [metrics for name, metrics in columns.items() if name.startswith("val")][-1]
    beside = baseline(cfg, corpus, list(outcome.kept))
    rows = dict(columns)
    if beside is not None:
        rows |= {f"{PREFIXES[split]}, {beside.name}": metrics for split, metrics in beside.metrics.items()}
    order = sorted(rows, key=lambda name: name.startswith("test"))
    print_metrics(title, {name: rows[name] for name in order}, cfg.metric.name, cfg.ties)
    compared = compared_with(cfg, outcome, beside)
    for line in verdict(cfg, outcome, compared):
        print(line)
    for line in published_lines(corpus.ranking("validation").path.parent, kept):
        print(line)
    return compared["validation"]


def _encoder_folder(cfg: DictConfig) -> Path:
    return Path(cfg.paths.run_dir) / ENCODER


def _loggable(cfg: DictConfig, counts: Metrics, corpus: Corpus) -> dict[str, Any]:
    """What loggers note of a run: its config, the sizes of the data, and where everything came from."""
    config: Any = OmegaConf.to_container(cfg, resolve=True)
    return {**config, "data_counts": counts, "provenance": provenance(cfg, corpus)}
