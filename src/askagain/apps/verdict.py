"""Says in words what came of a training: better or worse than its start and than a baseline, by how much, how sure."""

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
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
from askagain.ranking.metrics import Metrics, per_query_metrics
from askagain.ranking.ranks import Ranks
from askagain.ranking.significance import Comparison, compare, intervals

FEW_STEPS = 10  # an epoch
UNSURE = 0.05  # a difference with such a p or more may be chance


log = logging.getLogger(__name__)


class Outcome(NamedTuple):
    """The ranks by the encoder that was kept and, if it was trained, by what it started from.

    `kept`: by ranking set, `validation` and `test`. `start`: of the validation rows. `steps_per_epoch`: of the
    optimizer.
    """

    kept: Mapping[str, Ranks]
    start: Ranks | None = None
    steps_per_epoch: float | None = None


class Baseline(NamedTuple):
    """The ranker that an encoder is compared with: its name, and its metrics and ranks by ranking set."""

    name: str
    metrics: Mapping[str, Metrics]
    ranks: Mapping[str, Ranks]


def baseline(cfg: DictConfig, corpus: Corpus, splits: Sequence[str]) -> Baseline | None:
    """Ranks with the baseline; None where there is none, or where it would have to count too many texts."""
    if cfg.get("baseline") is None:
        return None
    texts = training_texts(corpus)
    if not texts:
        return None
    name = HydraConfig.get().runtime.choices["ranker@baseline"]
    count, most = sum(map(len, texts)), cfg.comparison.max_texts
    if count > most:
        log.info("not compared with %s: %d texts are more than comparison.max_texts=%d", name, count, most)
        return None
    try:
        ranker = build_ranker(cfg, corpus, "baseline")
    except InputError as error:  # the figures of the training must not be lost for it
        log.warning("not compared with %s: %s", name, error)
        return None
    own = build_own_metrics(cfg)
    results = {split: evaluate_ranking(ranker, corpus.ranking(split), cfg.ks, cfg.ties, own=own) for split in splits}
    return Baseline(
        name,
        {split: metrics for split, (metrics, _) in results.items()},
        {split: ranks for split, (_, ranks) in results.items()},
    )


class Compared(NamedTuple):
    """What the encoder is compared with on a ranking set: its ranks, and the paired `test` of the encoder."""

    name: str
    ranks: Ranks
    test: Comparison


def compared_with(cfg: DictConfig, outcome: Outcome, beside: Baseline | None) -> dict[str, list[Compared]]:
    """Compares the encoder on each ranking set with its start and with the baseline, where there are such."""
    compared: dict[str, list[Compared]] = {}
    for split, kept in outcome.kept.items():
        values = _per_query(cfg, kept)[1]
        compared[split] = [
            Compared(name, ranks, compare(values, _per_query(cfg, ranks)[1], cfg.comparison.resamples, cfg.seed))
            for name, ranks in _others(outcome, beside, split, cfg.ckpt_path is not None)
        ]
    return compared


def verdict(cfg: DictConfig, outcome: Outcome, compared: Mapping[str, Sequence[Compared]]) -> list[str]:
    """Lines that say how good the encoder is on each ranking set, and whether it beats its start and the baseline."""
    lines = [line for split, others in compared.items() for line in _split_verdict(cfg, outcome, others, split)]
    steps = outcome.steps_per_epoch
    if steps and steps < FEW_STEPS:  # none where a resumed run had nothing left to train
        size = max(8, 2 ** int(np.log2(max(1, cfg.data.batch_size * steps / FEW_STEPS))))
        lines.append(f"  {steps:g} steps an epoch are few; try data.batch_size={size} or more epochs")
    return lines


def _split_verdict(cfg: DictConfig, outcome: Outcome, compared: Sequence[Compared], split: str) -> list[str]:
    name, values = _per_query(cfg, outcome.kept[split])
    decides = name == cfg.metric.name.removeprefix("val/")
    sign = -1 if decides and cfg.metric.mode == "min" else 1  # another metric than MRR may be better if it is smaller
    settings = cfg.comparison
    low, high = intervals({name: values}, settings.confidence, settings.resamples, cfg.seed)[name]
    interval = f"{100 * settings.confidence:g} % interval {low:.4f} to {high:.4f}"
    lines = [f"{name} on {len(values):,} {split} rows: {values.mean():.4f}, {interval}"]
    for label, ranks, comparison in compared:
        others = _per_query(cfg, ranks)[1]
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
    return lines


def _per_query(cfg: DictConfig, ranks: Ranks) -> tuple[str, np.ndarray]:
    """The metric that decides which epoch is kept, or MRR where that is no mean over queries, and its values."""
    values = per_query_metrics(ranks, cfg.ks, cfg.ties, build_own_metrics(cfg))
    name = cfg.metric.name.removeprefix("val/")
    return (name, values[name]) if name in values else ("mrr", values["mrr"])


def _others(outcome: Outcome, beside: Baseline | None, split: str, is_resumed: bool) -> Iterator[tuple[str, Ranks]]:
    """What the encoder is compared with on a ranking set."""
    if outcome.start is not None and split == "validation":
        yield "the checkpoint" if is_resumed else "before training", outcome.start
    if beside is not None:
        yield f"{beside.name} on the same text", beside.ranks[split]


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
            others = "; ".join(f"{value:.4f} {what}" for what, value in reached.items())
            lines.append(f"{name}: {metrics[name]:.4f}; published: {others}")
    return lines
