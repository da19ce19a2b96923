"""Says in words what came of a training: better or worse than its start and than a baseline, by how much, how sure."""

import json
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from askagain.apps.build import build_own_metrics, build_ranker, training_texts
from askagain.corpus.corpus import Corpus
from askagain.corpus.files import PUBLISHED
from askagain.errors import InputError
from askagain.evaluation.evaluate import evaluate_ranking
from askagain.ranking.metrics import per_query_metrics
from askagain.ranking.ranks import Ranks
from askagain.ranking.significance import compare

FEW_STEPS = 10  # an epoch
UNSURE = 0.05  # a difference with such a p or more may be chance


log = logging.getLogger(__name__)


class Outcome(NamedTuple):
    """The ranks of the validation rows by the encoder that was kept and, if it was trained, by what it started from.

    `steps_per_epoch`: of the optimizer.
    """

    kept: Ranks
    start: Ranks | None = None
    steps_per_epoch: float | None = None


def verdict(cfg: DictConfig, corpus: Corpus, outcome: Outcome) -> list[str]:
    """The lines that end a run."""
    name, values = _per_query(cfg, outcome.kept)
    decides = name == cfg.metric.name.removeprefix("val/")
    sign = -1 if decides and cfg.metric.mode == "min" else 1  # another metric than MRR may be better if it is smaller
    lines = [f"{name} on {len(values):,} validation rows: {values.mean():.4f}"]
    for label, ranks in _others(cfg, corpus, outcome):
        others = _per_query(cfg, ranks)[1]
        comparison = compare(values, others, cfg.comparison.resamples, cfg.seed)
        gain = sign * comparison.difference
        what = "no clear difference from"
        if comparison.p < UNSURE:
            what = f"clearly {'better' if gain > 0 else 'worse'} than"
        p = "p < 0.001" if comparison.p < 0.001 else f"p = {comparison.p:.2g}"
        lines.append(f"  {what} {label}: {comparison.difference:+.4f} from {others.mean():.4f}, {p}")
        is_trained = cfg.ckpt_path is None or outcome.steps_per_epoch
        if ranks is outcome.start and is_trained and not (gain > 0 and comparison.p < UNSURE):
            start = "its start" if cfg.ckpt_path is None else "the checkpoint it went on from"
            lines.append(f"  training did not beat {start}; try more epochs or another optimizer.lr")
    steps = outcome.steps_per_epoch
    if steps and steps < FEW_STEPS:  # none where a resumed run had nothing left to train
        size = max(8, 2 ** int(np.log2(max(1, cfg.data.batch_size * steps / FEW_STEPS))))
        lines.append(f"  {steps:g} steps an epoch are few; try data.batch_size={size} or more epochs")
    return lines


def _per_query(cfg: DictConfig, ranks: Ranks) -> tuple[str, np.ndarray]:
    """The metric that decides which epoch is kept, or MRR where that is no mean over queries, and its values."""
    values = per_query_metrics(ranks, cfg.ks, cfg.ties, build_own_metrics(cfg))
    name = cfg.metric.name.removeprefix("val/")
    return (name, values[name]) if name in values else ("mrr", values["mrr"])


def _others(cfg: DictConfig, corpus: Corpus, outcome: Outcome) -> Iterator[tuple[str, Ranks]]:
    """What the encoder is compared with."""
    if outcome.start is not None:
        yield "before training" if cfg.ckpt_path is None else "the checkpoint", outcome.start
    if cfg.get("baseline") is None:
        return
    texts = training_texts(corpus)
    if not texts or sum(map(len, texts)) > cfg.comparison.max_texts:
        return
    label = HydraConfig.get().runtime.choices["ranker@baseline"]
    try:
        ranker = build_ranker(cfg, corpus, "baseline")
    except InputError as error:  # the figures of the training must not be lost for it
        log.warning("not compared with %s: %s", label, error)
        return
    yield f"{label} on the same text", evaluate_ranking(ranker, corpus.ranking("validation"), cfg.ks, cfg.ties)[1]


def published_lines(folder: Path, metrics: Mapping[str, float]) -> list[str]:
    """Lines that set metrics beside those that others have reported, where the corpus folder has a published.json.

    `metrics`: of a ranking set, by name. Raises InputError for a file of another kind.
    """
    path = folder / PUBLISHED
    if not path.is_file():
        return []
    try:
        published = {
            str(name): {str(what): float(value) for what, value in reached.items()}
            for name, reached in json.loads(path.read_bytes()).items()
        }
    except (ValueError, AttributeError, TypeError) as error:
        raise InputError(f'{path}: should have metrics by name, such as {{"hits@1": {{"BM25": 0.4}}}}') from error
    lines = []
    for name, reached in published.items():
        if name in metrics:
            lines.append(f"{name}: {metrics[name]:.4f}; published:")
            lines += [f"  {value:.4f} {what}" for what, value in reached.items()]
    return lines
