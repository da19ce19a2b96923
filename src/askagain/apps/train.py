"""`train.py`: trains an encoder, ranks the validation set before, during and after, and keeps the best epoch."""

import json
import logging
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.callbacks import Checkpoint, LearningRateMonitor, ModelSummary, ProgressBar
from pytorch_lightning.utilities import rank_zero_only
from pytorch_lightning.utilities.exceptions import MisconfigurationException, SIGTERMException

from askagain.apps.baselines import ranked_baselines
from askagain.apps.build import (
    build,
    build_all,
    build_corpus,
    build_module,
    build_own_metrics,
    data_name,
    import_modules,
)
from askagain.apps.choices_by_data import check_further_texts, choose_by_data
from askagain.apps.closing import (
    encoder_folder,
    epoch_metrics,
    ranked,
    ranking_sets,
    report_training,
    report_tuned,
    show_outcome,
)
from askagain.apps.devices import check_devices, device_count, device_type, train_on_devices
from askagain.apps.finetune import is_fine_tuning, prepare_fine_tuning
from askagain.apps.next_steps import ENCODER, MODEL, print_next_steps
from askagain.apps.process_setup import set_up_process, use_launchers_threads
from askagain.apps.provenance import provenance
from askagain.apps.report import PREFIXES, keep_metrics, prefixed, print_config, print_counts, say_metrics
from askagain.apps.resume import LAST_CHECKPOINT, resolve_checkpoint
from askagain.apps.run_logs import continue_logs, finish, log_config, log_results, note_logs
from askagain.apps.run_report import Result, leave_report
from askagain.apps.sweep import group_in_wandb
from askagain.apps.verdict import Outcome
from askagain.corpus.corpus import Corpus
from askagain.distributed.collectives import World
from askagain.distributed.launch import cluster_environment, node_count, process_group, send_config
from askagain.distributed.strategy import ReplicatedStrategy
from askagain.errors import InputError
from askagain.evaluation.worst_ranked import worst_ranked
from askagain.files.memory import free_memory
from askagain.files.progress import draws_bars
from askagain.machine import fastest_precision
from askagain.models.folder import load_encoder, save_encoder, save_named
from askagain.native import library, store, texts
from askagain.ranking.metrics import compute_metrics
from askagain.ranking.ranks import Ranks
from askagain.training.callbacks.best_checkpoint import START
from askagain.training.callbacks.hits_at_k import HELD_OUT_METRICS, HitsAtK
from askagain.training.checkpoint_io import AtomicCheckpointIO
from askagain.training.data.datamodule import BagDataModule
from askagain.training.kernels import native
from askagain.training.lightning_overhead import NoProfiler
from askagain.training.modules.base import RetrievalModule
from askagain.training.modules.finetune import FineTuning

log = logging.getLogger(__name__)

Metrics = dict[str, float]

VECTOR_COPIES = 12  # of an example's float32 vector: two texts, scaled, with gradients
TERMINATED = 143
STOPPED = {SIGTERMException: TERMINATED, SystemExit: 130}  # exit status; Lightning turns Ctrl-C into SystemExit


def train(cfg: DictConfig) -> float:
    """Trains as the config says, prints and writes the metrics, and returns the one that `metric.name` names.

    Raises InputError for a mistake in the config or in the data.
    """
    set_up_process()
    _choose_kernels(cfg)
    use_launchers_threads()
    group_in_wandb(cfg)
    print_config(cfg)
    import_modules(cfg)
    build_own_metrics(cfg)  # refuses a bad one by its own name, before the callback that takes them all
    corpus = build_corpus(cfg)
    _check_metric_names(cfg, corpus)
    for split in ranking_sets(corpus):
        corpus.ranking(split)  # refuses a bad ranking file before anything is trained
    check_further_texts(cfg)
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
        choose_by_data(cfg, corpus, size)
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
    if cfg.save_as is not None:
        named = save_named(load_encoder(encoder_folder(cfg)), cfg.save_as)
        print(f"saved as {cfg.save_as}: {named}")
    print_next_steps(cfg, corpus, MODEL if is_fine_tuning(cfg) else ENCODER)  # here, a report that is written is named
    say_metrics(Path(cfg.paths.run_dir))
    return _chosen(cfg, metrics)


def _check_metric_names(cfg: DictConfig, corpus: Corpus) -> None:
    """Raises InputError, before anything is trained, for a chosen metric of the ranking sets that there is not."""
    one_query = Ranks(np.zeros(1, dtype=np.int64), np.zeros(1, dtype=np.int64))
    names = [*compute_metrics(one_query, cfg.ks, cfg.ties, build_own_metrics(cfg)), "seconds"]
    known = [f"{PREFIXES[split]}/{name}" for split in ranking_sets(corpus) for name in names] + [*HELD_OUT_METRICS]
    for key in ("metric.name", "optimized_metric"):
        chosen = str(OmegaConf.select(cfg, key))
        if chosen.partition("/")[0] in PREFIXES.values() and chosen not in known:
            raise InputError(f"{key}={chosen}: no such metric; there are {', '.join(known)}")


def train_rank(cfg: DictConfig) -> Metrics:
    """Trains as one of several ranks of a run that rank 0 has checked; rank 0 returns all metrics."""
    set_up_process()
    _choose_kernels(cfg)
    import_modules(cfg)
    with process_group(device_type(cfg)):
        return _train(cfg, build_corpus(cfg))


def _choose_kernels(cfg: DictConfig) -> None:
    library.use(cfg.kernels)
    store.start()  # first: files are read before anything is trained
    texts.start()
    if cfg.get("model") is not None:
        native.start()


def _chosen(cfg: DictConfig, metrics: Metrics) -> float:
    """The metric that a sweep compares; NaN for the loss of the start, which has none, where that was kept."""
    if cfg.optimized_metric in HELD_OUT_METRICS and metrics.get("train/best_epoch") == START:
        log.warning("optimized_metric=%s: the start was kept, which has none", cfg.optimized_metric)
        return math.nan
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
    before, of_raw = ranked(cfg, corpus, "raw", raw, "raw/")
    result, metrics = ranked(cfg, corpus, "preprocessed", encoder)
    metrics = prefixed("data", counts) | of_raw | metrics
    words = {"preprocessor": result.preprocessor}
    loggers = build_all(cfg, "logger")
    config = _loggable(cfg, counts, corpus)
    log_config(loggers, config)
    log_results(loggers, config, {**words, **metrics}, _chosen(cfg, metrics), step=0)
    save_encoder(encoder, encoder_folder(cfg))
    baselines = ranked_baselines(cfg, corpus, encoder.preprocessor, ranking_sets(corpus))
    compared = show_outcome(cfg, corpus, Outcome(result, baselines, [before]), encoder, metrics)
    keep_metrics(Path(cfg.paths.run_dir), metrics, words)
    worst = worst_ranked(encoder, corpus.ranking("validation"), result.ranks["validation"], **cfg.worst_ranked)
    reported = Result(encoder, cfg.name, words, result.ranks, compared, worst)
    leave_report(cfg, corpus, reported, metrics, config, loggers, step=0)
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
    _refuse_large_table(cfg, trainer.strategy.root_device, module)
    exit_code = 1
    try:
        config = _loggable(cfg, counts, corpus) if trainer.is_global_zero else {}
        log_config(trainer.loggers, config)
        if trainer.is_global_zero:
            note_logs(cfg, trainer.loggers)
        _fit(cfg, trainer, module, datamodule)
        metrics = prefixed("data", counts) | epoch_metrics(trainer.callback_metrics)
        metrics["train/epochs"] = trainer.current_epoch
        if isinstance(module, FineTuning):
            tuned = report_tuned(cfg, corpus, trainer, module, config)
            metrics |= tuned.metrics
            keep_metrics(Path(cfg.paths.run_dir), metrics, tuned.words)
        elif trainer.is_global_zero:
            of_ranking, result = report_training(cfg, corpus, trainer, module, config)
            if result.kept_after == 0:  # the last epoch's losses are not those of the start
                for name in HELD_OUT_METRICS:
                    metrics.pop(name, None)
            metrics |= of_ranking
            keep_metrics(Path(cfg.paths.run_dir), metrics, result.words)
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


def _refuse_large_table(cfg: DictConfig, device: torch.device, module: RetrievalModule) -> None:
    """Raises InputError where the weights, and a dense gradient of them, would not fit into a GPU."""
    if device.type != "cuda":
        return
    free, _ = torch.cuda.mem_get_info(device)
    needed = (1 if module.sparse else 2) * sum(weights.nbytes for weights in module.parameters())
    if needed > free:
        dim = OmegaConf.select(cfg, "model.dim")
        setting, remedy = ("model", "") if dim is None else (f"model.dim={dim}", "lower model.dim, or ")
        raise InputError(
            f"{setting}: the weights and their gradient take {needed / 2**30:,.1f} GiB, and the GPU has "
            f"{free / 2**30:,.1f} GiB free; {remedy}type trainer.accelerator=cpu"
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


def _loggable(cfg: DictConfig, counts: Metrics, corpus: Corpus) -> dict[str, Any]:
    """What loggers note of a run: its config, the sizes of the data, and where everything came from."""
    config: Any = OmegaConf.to_container(cfg, resolve=True)
    return {**config, "data_counts": counts, "provenance": provenance(cfg, corpus)}
