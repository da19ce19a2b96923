"""What a training ends with: its result beside baselines and the start, in tables, words and logs."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from omegaconf import DictConfig

from askagain.apps.baselines import ranked_baselines
from askagain.apps.build import build_own_metrics, data_name
from askagain.apps.finetune import Tuned, ranked_tuned
from askagain.apps.next_steps import ENCODER
from askagain.apps.preprocessors import preprocessor_name
from askagain.apps.report import PREFIXES, explained_ties, prefixed, print_table
from askagain.apps.run_logs import log_results, log_worst_ranked
from askagain.apps.run_report import Result
from askagain.apps.variants import variants
from askagain.apps.verdict import (
    CHOSEN,
    DIFFERENCE,
    FAVOURED,
    NO_TEST,
    Compared,
    Outcome,
    Ranked,
    advice,
    comparison_table,
    comparisons,
    published_lines,
    verdict,
    wrapped,
)
from askagain.corpus.corpus import Corpus
from askagain.evaluation.evaluate import evaluate_ranking
from askagain.evaluation.worst_ranked import as_table, worst_ranked
from askagain.models.bag_encoder import BagEncoder
from askagain.models.folder import load_encoder, save_encoder
from askagain.ranking.metrics import Metrics, compute_metrics
from askagain.training.callbacks.best_checkpoint import BestCheckpoint
from askagain.training.callbacks.hits_at_k import HELD_OUT_METRICS, HitsAtK
from askagain.training.modules.finetune import FineTuning

RATE = "train/examples_per_second"


def report_training(
    cfg: DictConfig, corpus: Corpus, trainer: pl.Trainer, module: pl.LightningModule, config: dict[str, Any]
) -> tuple[Metrics, Result]:
    """Ranks with the encoder that was kept, prints its metrics beside those of others, and returns what came of it."""
    folder = encoder_folder(cfg)
    callbacks: list[pl.Callback] = trainer.callbacks  # type: ignore[attr-defined]
    best = [one for one in callbacks if isinstance(one, BestCheckpoint) and one.is_compared]
    if not best:  # no epoch was trained or kept; an encoder in the folder would be that of another run
        save_encoder(module.encoder, folder)  # type: ignore[arg-type]
    encoder = load_encoder(folder)
    if (folded := encoder.folded()) is not encoder:
        encoder = folded
        save_encoder(encoder, folder)
    metrics: Metrics = {}
    name, kept_after = "trained" if trainer.global_step else "untrained", None
    for checkpoint in best:
        name, kept_after = checkpoint.kept, checkpoint.best_epoch + 1  # type: ignore[operator]
        metrics |= epoch_metrics(checkpoint.metrics)
        metrics["train/best_epoch"] = checkpoint.best_epoch  # type: ignore[assignment]
    metrics.pop(RATE, None)  # the run's rate is that of its last epoch
    is_start_kept = kept_after == 0
    result, of_result = ranked(cfg, corpus, f"{name} (kept)" if is_start_kept else name, encoder)
    metrics |= of_result
    words = {"kept": name, "preprocessor": result.preprocessor}
    others = []
    for variant in variants(cfg, encoder):
        other, of_variant = ranked(cfg, corpus, variant.heading, variant.encoder, variant.prefix)
        others.append(other)
        metrics |= of_variant
    start, epochs = None, []
    for hits_at_k in (one for one in callbacks if isinstance(one, HitsAtK)):
        epochs = hits_at_k.epochs
        metrics |= prefixed("start", hits_at_k.start)
        if "test" in hits_at_k.start_ranks:
            of_test = compute_metrics(hits_at_k.start_ranks["test"], cfg.ks, cfg.ties, build_own_metrics(cfg))
            metrics |= prefixed("start/test", of_test)
        if cfg.ckpt_path is not None or not is_start_kept:
            called = "the start" if cfg.ckpt_path is None else "the checkpoint"
            start = Ranked(called, result.preprocessor, hits_at_k.start_ranks)
            others.append(start)
    worst = worst_ranked(encoder, corpus.ranking("validation"), result.ranks["validation"], **cfg.worst_ranked)
    log_worst_ranked(trainer.loggers, as_table(worst), trainer.global_step)
    encoder_metrics = {name: value for name, value in metrics.items() if not name.startswith("start/")}
    chosen = metrics.get(cfg.optimized_metric, math.nan)
    log_results(trainer.loggers, config, prefixed("best", {**words, **encoder_metrics}), chosen, trainer.global_step)
    outcome = Outcome(
        result,
        ranked_baselines(cfg, corpus, encoder.preprocessor, ranking_sets(corpus)),
        others,
        start if trainer.global_step and trainer.num_training_batches else None,  # nothing may be left to train
        is_start_kept,
        bool(best) and cfg.metric.name.startswith("val/") and cfg.metric.name not in HELD_OUT_METRICS,
        trainer.num_training_batches,
    )
    compared = show_outcome(cfg, corpus, outcome, encoder, metrics)
    reported = Result(encoder, result.name, words, result.ranks, compared, worst, epochs, kept_after)
    return metrics, reported


def report_tuned(
    cfg: DictConfig, corpus: Corpus, trainer: pl.Trainer, module: FineTuning, config: dict[str, Any]
) -> Tuned:
    """Ranks with the model that was kept, and prints its metrics beside those of the teacher."""
    tuned = ranked_tuned(cfg, corpus, trainer, module)
    results = {name: value for name, value in tuned.metrics.items() if not name.startswith("start/")}
    chosen = results.get(cfg.optimized_metric, math.nan)
    log_results(trainer.loggers, config, prefixed("best", {**tuned.words, **results}), chosen, trainer.global_step)
    show_outcome(cfg, corpus, tuned.outcome, None, tuned.metrics)
    return tuned


def ranked(cfg: DictConfig, corpus: Corpus, name: str, encoder: BagEncoder, prefix: str = "") -> tuple[Ranked, Metrics]:
    """Ranks each ranking set; `prefix`: begins the names of the metrics."""
    own, ranks = build_own_metrics(cfg), {}
    metrics: Metrics = {}
    for split in ranking_sets(corpus):
        column, ranks[split] = evaluate_ranking(encoder, corpus.ranking(split), cfg.ks, cfg.ties, own=own)
        metrics |= prefixed(prefix + PREFIXES[split], column)
    return Ranked(name, preprocessor_name(encoder.preprocessor), ranks), metrics


def show_outcome(
    cfg: DictConfig, corpus: Corpus, outcome: Outcome, encoder: BagEncoder | None, metrics: Mapping[str, float]
) -> list[Compared]:
    """Prints what came of a run, on the test rows last; returns what it was compared with on the validation rows.

    `encoder`: None where it is no table of vectors.
    """
    folder = corpus.ranking("validation").path.parent
    compared = {split: comparisons(cfg, outcome, split) for split in outcome.result.ranks}
    headline = list(compared)[-1]
    for split, others in compared.items():
        title = f"{cfg.name} on {data_name(cfg, folder)}: {len(corpus.ranking(split).rows):,} {split} rows"
        print_table(title, *comparison_table(cfg, outcome, others, split))
        if outcome.is_chosen and split == "validation":
            print(NO_TEST if headline == "validation" else CHOSEN)
    lines = [DIFFERENCE] if outcome.compared else []
    if any(ranked.ranks[headline].tied.any() for ranked in (outcome.result, *outcome.compared)):
        lines.append(explained_ties(cfg.ties))
    if any(ranked.preprocessor != outcome.result.preprocessor for ranked in outcome.baselines):
        lines.append(FAVOURED)
    lines += verdict(cfg, outcome, compared[headline], headline)
    lines += advice(cfg, corpus, outcome, encoder)
    of_validation = {name.removeprefix("val/"): value for name, value in metrics.items() if name.startswith("val/")}
    for line in (*wrapped(lines), *published_lines(folder, of_validation)):
        print(line)
    return compared["validation"]


def ranking_sets(corpus: Corpus) -> list[str]:
    """The ranking sets to report."""
    return ["validation", "test"] if corpus.files.test is not None else ["validation"]


def epoch_metrics(logged: Mapping[str, Any]) -> Metrics:
    """The losses and validation metrics among what was logged in an epoch."""
    return {name: float(value) for name, value in logged.items() if name.startswith(("train/", "val/"))}


def encoder_folder(cfg: DictConfig) -> Path:
    """Where a run keeps its encoder."""
    return Path(cfg.paths.run_dir) / ENCODER
