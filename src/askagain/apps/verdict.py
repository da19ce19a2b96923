"""Says in tables and words what came of a training: its result beside others, by how much it differs, how sure."""

import json
import textwrap
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from omegaconf import DictConfig

from askagain.apps.build import build_own_metrics
from askagain.apps.preprocessors import preprocessor_name
from askagain.apps.report import WIDTH, read_first
from askagain.corpus.corpus import Corpus
from askagain.corpus.files import PUBLISHED
from askagain.errors import InputError
from askagain.models.bag_encoder import BagEncoder
from askagain.models.named import named_folder
from askagain.ranking.metrics import compute_metrics, per_query_metrics
from askagain.ranking.ranks import Ranks
from askagain.ranking.significance import Comparison, compare, intervals

FEW_STEPS = 10  # an epoch
UNSURE = 0.05  # a difference with such a p or more may be chance
LEFT_OUT = ("hits@100", "mean_rank", "ties")  # of the closing table, whose last column are ties
CHOSEN = "the validation rows chose the epoch, so that its figures on them are slightly optimistic"
NO_TEST = "the validation rows chose the epoch: only a test.tsv would give figures that are not chosen"
FAVOURED = "other texts than the encoder's were chosen for baselines by the validation rows, which favours them"
DIFFERENCE = "difference: the result, in the last row, less this row; p: of a paired permutation test"


class Ranked(NamedTuple):
    """A ranker: what it is called, the name of its `preprocessor`, and its ranks by ranking set."""

    name: str
    preprocessor: str
    ranks: Mapping[str, Ranks]


class Outcome(NamedTuple):
    """What a run has come to.

    `result`: by the encoder that was kept. `baselines`: which it is compared with. `others`: likewise, such as the
    `start`, which is one of them; None where nothing was trained, or where it was kept itself. `is_start_kept`: whether
    no epoch was better. `is_chosen`: whether the validation rows chose what was kept. `steps_per_epoch`: of the
    optimizer.
    """

    result: Ranked
    baselines: Sequence[Ranked] = ()
    others: Sequence[Ranked] = ()
    start: Ranked | None = None
    is_start_kept: bool = False
    is_chosen: bool = False
    steps_per_epoch: float | None = None

    @property
    def compared(self) -> list[Ranked]:
        return [*self.baselines, *self.others]


class Deciding(NamedTuple):
    """The metric that decides which epoch is kept, or MRR where that is no mean over rows: its values `of_rows`.

    `sign`: -1 where less of it is better.
    """

    name: str
    of_rows: np.ndarray
    sign: int


def deciding_metric(cfg: DictConfig, ranks: Ranks) -> Deciding:
    """The metric that rankers are compared by, of these ranks."""
    values = per_query_metrics(ranks, cfg.ks, cfg.ties, build_own_metrics(cfg))
    name = cfg.metric.name.removeprefix("val/")
    if name not in values:
        return Deciding("mrr", values["mrr"], 1)
    return Deciding(name, values[name], -1 if cfg.metric.mode == "min" else 1)


class Compared(NamedTuple):
    """What the result is compared with on a ranking set: its ranks, and the paired `test` of the result against it.

    `name`: with that of its preprocessor where another one is called the same.
    """

    name: str
    ranks: Ranks
    test: Comparison


def comparisons(cfg: DictConfig, outcome: Outcome, split: str) -> list[Compared]:
    """Compares the result with each of `outcome.compared` on a ranking set."""
    called = Counter(one.name for one in outcome.compared)
    values = deciding_metric(cfg, outcome.result.ranks[split]).of_rows
    return [
        Compared(
            one.name if called[one.name] == 1 else f"{one.name} on {one.preprocessor}",
            one.ranks[split],
            compare(values, deciding_metric(cfg, one.ranks[split]).of_rows, cfg.comparison.resamples, cfg.seed),
        )
        for one in outcome.compared
    ]


def comparison_table(
    cfg: DictConfig, outcome: Outcome, compared: Sequence[Compared], split: str
) -> tuple[list[str], list[list[str]]]:
    """Headings and rows: the result on a ranking set, last, below what it is compared with."""
    rankers = [*outcome.compared, outcome.result]
    own, settings = build_own_metrics(cfg), cfg.comparison
    metrics = [compute_metrics(one.ranks[split], cfg.ks, cfg.ties, own) for one in rankers]
    decided = [deciding_metric(cfg, one.ranks[split]) for one in rankers]
    values = {str(row): one.of_rows for row, one in enumerate(decided)}
    ends = intervals(values, settings.confidence, settings.resamples, cfg.seed)
    by = decided[0].name
    names = [name for name in read_first(metrics[0]) if name not in (by, *LEFT_OUT)]
    tests = [*((f"{one.test.difference:+.4f}", one.test.p_text) for one in compared), ("", "")]
    interval = f"{100 * settings.confidence:g} % interval"
    headings = ["", "preprocessor", *names, by, interval, "difference", "p", "ties"]
    rows = []
    for row, (one, figures) in enumerate(zip(rankers, metrics, strict=True)):
        low, high = ends[str(row)]
        cells = [f"{figures[name]:.4f}" for name in (*names, by)]
        difference, p = tests[row]
        cells += [f"{low:.4f}-{high:.4f}", difference, p, f"{figures['ties']:.4f}"]
        rows.append([one.name, one.preprocessor, *cells])
    return headings, rows


def verdict(cfg: DictConfig, outcome: Outcome, compared: Sequence[Compared], split: str) -> list[str]:
    """Lines that say how good the result is on a ranking set, and what it beats there."""
    name, values, sign = deciding_metric(cfg, outcome.result.ranks[split])
    settings = cfg.comparison
    low, high = intervals({name: values}, settings.confidence, settings.resamples, cfg.seed)[name]
    interval = f"{100 * settings.confidence:g} % interval {low:.4f} to {high:.4f}"
    lines = [f"{name} on {len(values):,} {split} rows: {values.mean():.4f}, {interval}"]
    found: dict[str, list[str]] = {}
    beaten = []
    for one in compared:
        is_sure, is_better = one.test.p < UNSURE, sign * one.test.difference > 0
        what = f"clearly {'better' if is_better else 'worse'} than" if is_sure else "no clear difference from"
        found.setdefault(what, []).append(one.name)
        if is_sure and is_better:
            beaten.append(one.name)
    lines += [f"  {what} {'; '.join(names)}" for what, names in found.items()]
    if outcome.is_start_kept:
        lines.append(f"  training did not beat its start, so that the start was kept: {_remedies(cfg)}")
    elif outcome.start is not None and outcome.start.name not in beaten:
        start = "its start" if cfg.ckpt_path is None else "the checkpoint it went on from"
        lines.append(f"  training did not clearly beat {start}: {_remedies(cfg)}")
    return lines


def advice(cfg: DictConfig, corpus: Corpus, outcome: Outcome, encoder: BagEncoder | None) -> list[str]:
    """Lines that name what a training suffers from, each with what to do about it."""
    lines = []
    steps = outcome.steps_per_epoch
    if steps and steps < FEW_STEPS:  # none where a resumed run had nothing left to train
        size = max(8, 2 ** int(np.log2(max(1, cfg.data.batch_size * steps / FEW_STEPS))))
        lines.append(f"  {steps:g} steps an epoch are few; try data.batch_size={size} or more epochs")
    if encoder is None:
        return lines
    for split in outcome.result.ranks:
        ranking = corpus.ranking(split)
        is_empty = ranking.features(encoder.preprocessor, encoder.features).lengths == 0
        count = int(is_empty[ranking.rows.ids[ranking.rows.offsets[:-1]]].sum())
        if count:
            total = len(ranking.rows)
            what = f"  {count:,} of {total:,} {split} questions have no known feature, so that all their candidates tie"
            lines.append(f"{what}: {_more_features(cfg, corpus, encoder)}")
    return lines


def wrapped(lines: Sequence[str]) -> list[str]:
    """The lines, broken where they are wider than what is printed."""
    return [part for line in lines for part in textwrap.wrap(line, WIDTH, subsequent_indent="    ")]


def _more_features(cfg: DictConfig, corpus: Corpus, encoder: BagEncoder) -> str:
    """What lets an encoder know more of a text, but for what it has already."""
    choices = []
    if preprocessor_name(encoder.preprocessor) != "all_words":
        choices.append("preprocessor=all_words")
    if cfg.get("features") is not None and "trigrams" not in encoder.features.kind:
        choices.append("features=words_trigrams")
    if corpus.files.corpus is not None and not cfg.data.count_unlabelled:
        choices.append("data.count_unlabelled=true")
    return f"try {', '.join(choices)}" if choices else "train on more texts that are like them"


def _remedies(cfg: DictConfig) -> str:
    choices = ["more groups or unlabelled texts", "fewer or more epochs", "another optimizer.lr"]
    if cfg.get("teacher") is None:
        choices.append("a teacher (experiment=distill)")
    name = (cfg.get("start") or {}).get("name")
    if name is not None and named_folder(name) is None:
        choices.append(f"a start from other sites (experiment={name})")
    return f"try {', '.join(choices)}"


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
