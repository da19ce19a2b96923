"""`scripts/learning_curves.py`: how good each method is with how much data, in a table and a plot."""

import logging
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from importlib.util import find_spec
from pathlib import Path
from shutil import rmtree
from statistics import fmean
from typing import Any

import numpy as np
from hydra import compose
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from askagain.apps.api import quoted
from askagain.apps.boards import ROWS, SHARED_WITH_TRAINING, Row, check_commands, check_packages, kept_row
from askagain.apps.build import build_corpus, data_name, import_modules
from askagain.apps.command_line import for_hydra
from askagain.apps.evaluate import chosen_ranker, evaluation
from askagain.apps.preprocessors import text_seen_by
from askagain.apps.report import write_table
from askagain.apps.trainings import TRAIN, Trainings, sets
from askagain.corpus.cache import Cache
from askagain.corpus.corpus import Corpus
from askagain.corpus.files import NAMES
from askagain.corpus.subset import write_subset
from askagain.distributed.launch import end_on_sigterm
from askagain.errors import InputError
from askagain.files.writing import atomic_write
from askagain.machine import machine
from askagain.models.other_packages import INSTALL_SENTENCE_TRANSFORMERS
from askagain.ranking.significance import compare, intervals
from askagain.reporting.board_sections import curve_charts, curve_sections
from askagain.reporting.charts import beside
from askagain.reporting.page import image, write_page

CONFIG = "learning_curves"
OWN = ("groups", "unlabelled", "draws", "methods")  # keys of the learning curves alone
SAMPLES = "samples"  # in the run folder
STORES = {"groups": "train", "unlabelled": "corpus"}  # the file whose lines are drawn along each axis
UNITS = {"groups": "groups", "unlabelled": "unlabelled texts"}
OTHER = {"groups": "unlabelled", "unlabelled": "groups"}

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Method:
    """A way to rank, and the axis of its curve, `groups` or `unlabelled`.

    `command`: its overrides, after train.py where it is trained. `others`: how much it has of the other kind of data.
    """

    name: str
    command: list[str]
    along: str
    others: int

    @property
    def title(self) -> str:
        return f"{self.name} along {self.along}"


@dataclass(frozen=True)
class Point:
    """A method with one amount of data; `value` is the mean of the metric over draws.

    `interval`: of the mean, by bootstrap over rows. `draws`: the metric of each draw. `p`: of the difference from the
    best method with this amount, None for the best itself.
    """

    method: str
    along: str
    size: int
    value: float
    interval: tuple[float, float]
    draws: list[float]
    p: float | None
    is_clearly_worse: bool


def learning_curves(cfg: DictConfig, root: Path) -> None:
    """Evaluates each of `cfg.methods` with samples of the corpus; `root` is the folder of train.py.

    Raises InputError for a mistake in the config, in the data or in a method, and where a training fails.
    """
    if cfg.plot:
        check_packages({"altair": "report", "jinja2": "report", "vl_convert": "report"})
    if cfg.candidate_set.files is not None:
        raise InputError("candidate_set: leave it out, since what is ranked would change with the amount of data")
    end_on_sigterm()
    import_modules(cfg)
    methods = _methods(cfg)
    typed = [override for override in HydraConfig.get().overrides.task if not sets(override, OWN)]
    shared = [override for override in typed if sets(override, SHARED_WITH_TRAINING)]
    check_commands(CONFIG, {one.title: one.command for one in methods}, typed, shared, "draws=[0,1,2]")
    corpus = build_corpus(cfg)
    lines = {along: _count(corpus, store) for along, store in STORES.items()}
    sizes = {along: _sizes(along, cfg[along], lines[along]) for along in STORES}
    methods = [_cut(one, lines) for one in methods if sizes[one.along] and _has_teacher(one, shared)]
    if not methods:
        raise InputError("methods: there is none left for these groups, unlabelled texts and files")
    trained = sum(len(sizes[one.along]) for one in methods if one.command[0] == TRAIN)
    folder = Path(cfg.paths.run_dir)
    samples = Samples(corpus, folder / SAMPLES)
    trainings = Trainings(folder, shared, root, trained * len(cfg.draws))
    about = _about(cfg, corpus, lines, methods)
    points: list[Point] = []
    for along in STORES:
        drawn = [one for one in methods if one.along == along]
        for size in sizes[along] if drawn else []:
            rows = {one.name: _rows(cfg, one, size, samples, typed, trainings) for one in drawn}
            points += _points(cfg, along, size, rows)
            _write(points, methods, about, cfg, is_whole=False)
    _write(points, methods, about, cfg, is_whole=True)
    if cfg.plot:
        _plot(points, about, cfg)
    rmtree(folder / ROWS, ignore_errors=True)


def _methods(cfg: DictConfig) -> list[Method]:
    """The methods as the config has them; raises InputError for an entry that is none."""
    given: Any = OmegaConf.to_container(cfg.methods)
    methods = [_method(entry) for entry in given]
    titles = [one.title for one in methods]
    for title in titles:
        if titles.count(title) > 1:
            raise InputError(f"methods: two are called {title}; give one of them another name")
    return methods


def _method(entry: Any) -> Method:
    example = "{name: BM25, run: 'ranker=bm25', along: groups, with_unlabelled: 1800}"
    if not isinstance(entry, dict) or not {"name", "run", "along"} <= entry.keys():
        raise InputError(f"methods: {entry}: must have a name, what to run, and along what, such as {example}")
    name, along, command = str(entry["name"]), entry["along"], for_hydra(shlex.split(str(entry["run"])))
    if along not in STORES:
        raise InputError(f"methods: {name}: along={along}: must be groups or unlabelled")
    if not command:
        raise InputError(f"methods: {name}: run is empty; write overrides of evaluate.py, or train.py with its own")
    key = f"with_{OTHER[along]}"
    unknown = entry.keys() - {"name", "run", "along", key}
    if unknown:
        raise InputError(f"methods: {name}: {', '.join(sorted(unknown))}: no such key; along {along} there is {key}")
    others = entry.get(key) or 0
    if type(others) is not int or others < 0:
        raise InputError(f"methods: {name}: {key}={others}: must be a whole number or null")
    return Method(name, command, along, others)


def _count(corpus: Corpus, store: str) -> int:
    return 0 if getattr(corpus.files, store) is None else len(corpus.store(store).rows)


def _sizes(along: str, wanted: Sequence[int], lines: int) -> list[int]:
    """The sizes of samples, ascending; those above what there is are cut, with a line."""
    if wanted and not lines:
        log.warning("%s: left out, since the corpus has no %s", along, NAMES[STORES[along]])
        return []
    for size in wanted:
        if size > lines:
            log.warning("%s: %s is cut to all %s lines of %s", along, f"{size:,}", f"{lines:,}", NAMES[STORES[along]])
    return sorted({min(size, lines) for size in wanted})


def _cut(method: Method, lines: Mapping[str, int]) -> Method:
    """The method with no more of the other kind of data than there is; what is cut is said."""
    other = OTHER[method.along]
    if method.others <= lines[other]:
        return method
    log.warning(
        "%s: with_%s: %s is cut to all %s lines of %s",
        *(method.title, other, f"{method.others:,}", f"{lines[other]:,}", NAMES[STORES[other]]),
    )
    return replace(method, others=lines[other])


def _has_teacher(method: Method, shared: Sequence[str]) -> bool:
    """Whether what teaches a method is installed, if anything does; what is not is said."""
    teacher = compose("train", [*shared, *method.command[1:]]).get("teacher") if method.command[0] == TRAIN else None
    packages = [] if teacher is None else ["sentence_transformers", teacher.get("package")]
    for package in packages:
        if package is not None and find_spec(package) is None:
            log.warning(
                "%s: left out, since %s is not installed: %s", *(method.title, package), INSTALL_SENTENCE_TRANSFORMERS
            )
            return False
    return True


@dataclass
class Samples:
    """Random samples of a corpus in folders below `folder`, each written once."""

    corpus: Corpus
    folder: Path
    written: set[Path] = field(default_factory=set)

    def overrides(self, sizes: Mapping[str, int], draw: int) -> list[str]:
        """The overrides that put a sample of these sizes in the place of the corpus, but for its ranking sets."""
        name = ", ".join(f"{sizes[along]} {UNITS[along]}" for along in STORES)
        folder = (self.folder / f"draw {draw}" / name).absolute()
        if folder not in self.written:
            write_subset(self.corpus, folder, {STORES[along]: sizes[along] for along in STORES}, draw)
            self.written.add(folder)
        files = self.corpus.files
        paths = {"dir": folder, "train_path": None, "corpus_path": None}
        paths |= {"validation_path": files.validation, "test_path": files.test}
        given = [f"data.{key}={'null' if path is None else quoted(path.absolute())}" for key, path in paths.items()]
        return ["data.sample=null", "data.validation_groups=null", *given]


def _rows(
    cfg: DictConfig, method: Method, size: int, samples: Samples, typed: Sequence[str], trainings: Trainings
) -> list[Row]:
    """What a method gives with each draw of its data; the draw is the seed of its training too."""
    rows = []
    for draw in cfg.draws:
        data = samples.overrides({method.along: size, OTHER[method.along]: method.others}, draw)
        command = method.command
        name = f"{method.name} on {size} {UNITS[method.along]}"
        if command[0] == TRAIN:
            run = trainings.run(name, [*data, *command[1:]], draw)
            command = [f"encoder.path={quoted(run)}"]
        rows.append(kept_row(CONFIG, [*typed, *data, *command], Path(cfg.paths.run_dir), _evaluated))
        log.info("%s, draw %d: %s %.4f", name, draw, cfg.metric.name, rows[-1].metrics[cfg.metric.name])
    return rows


def _evaluated(cfg: DictConfig, corpus: Corpus) -> Row:
    ranker = chosen_ranker(cfg, corpus)
    result = evaluation(cfg, ranker, corpus)
    if cfg.metric.name not in result.per_query:
        raise InputError(f"metric.name={cfg.metric.name}: must be one of {', '.join(result.per_query)}")
    return Row(text_seen_by(ranker), result.metrics, result.per_query, result.where)


def _points(cfg: DictConfig, along: str, size: int, rows: Mapping[str, Sequence[Row]]) -> list[Point]:
    """The methods with one amount of data, compared with the best of them; `rows`: of each draw, by method."""
    metric = cfg.metric.name
    values = {name: np.mean([row.per_query[metric] for row in of_draws], axis=0) for name, of_draws in rows.items()}
    draws = {name: [row.metrics[metric] for row in of_draws] for name, of_draws in rows.items()}
    best = (max if cfg.metric.mode == "max" else min)(draws, key=lambda name: fmean(draws[name]))
    points = []
    for name in rows:
        p = None if name == best else compare(values[name], values[best], cfg.resamples, cfg.seed).p
        points.append(
            Point(
                method=name,
                along=along,
                size=size,
                value=fmean(draws[name]),
                interval=intervals({metric: values[name]}, **cfg.intervals, seed=cfg.seed)[metric],
                draws=draws[name],
                p=p,
                is_clearly_worse=p is not None and p < cfg.clearly_worse,
            )
        )
    return points


def _about(cfg: DictConfig, corpus: Corpus, lines: Mapping[str, int], methods: Sequence[Method]) -> dict[str, str]:
    """What is measured, by name."""
    ranked = corpus.ranking(cfg.data.split)
    named = {along: f"{NAMES[STORES[along]]}, {count:,} lines" for along, count in lines.items() if count}
    return {
        "measured": date.today().isoformat(),
        "data": f"{data_name(cfg, ranked.path)}, {len(ranked.rows):,} rows",
        **{f"{UNITS[along]} drawn from": what for along, what in named.items()},
        "ties": cfg.ties,
        "draws": ", ".join(map(str, cfg.draws)),
        "cells": f"mean {cfg.metric.name} over draws, its interval over rows, and the lowest and the highest draw",
        "not clearly worse": f"p of the difference from the best is {cfg.clearly_worse} or more, by permutation",
        **{one.title: _described(one) for one in methods},
    } | machine()


def _described(method: Method) -> str:
    others = f", with {method.others:,} {UNITS[OTHER[method.along]]}" if method.others else ""
    return f"`{shlex.join(method.command)}`{others}"


def _write(
    points: Sequence[Point], methods: Sequence[Method], about: Mapping[str, str], cfg: DictConfig, is_whole: bool
) -> None:
    path = Path(cfg.paths.run_dir) / CONFIG
    details = {"metric": cfg.metric.name, "methods": list(map(asdict, methods)), "points": list(map(asdict, points))}
    write_table(path, *_table(points), about, details, is_shown=is_whole)


def _table(points: Sequence[Point]) -> tuple[list[str], list[list[str]]]:
    """Headings and rows: an amount of data each, with the methods side by side."""
    names = list(dict.fromkeys(point.method for point in points))
    amounts: dict[tuple[str, int], dict[str, Point]] = {}
    for point in points:
        amounts.setdefault((point.along, point.size), {})[point.method] = point
    rows = []
    for (along, size), own in amounts.items():
        ahead = [name for name in own if own[name].p is None]
        ahead += [name for name in own if own[name].p is not None and not own[name].is_clearly_worse]
        cells = [_cell(own[name]) if name in own else "" for name in names]
        rows.append([f"{size:,} {UNITS[along]}", *cells, ", ".join(ahead)])
    return ["data", *names, "best, and not clearly worse"], rows


def _cell(point: Point) -> str:
    low, high = point.interval
    over_draws = f", {min(point.draws):.4f} to {max(point.draws):.4f}" if len(point.draws) > 1 else ""
    return f"{point.value:.4f} ({low:.4f} to {high:.4f}){over_draws}"


def _plot(points: Sequence[Point], about: Mapping[str, str], cfg: DictConfig) -> None:
    """Writes learning_curves.png and learning_curves.html."""
    panels: dict[str, list[dict[str, Any]]] = {}
    for point in points:
        low, high = point.interval
        drawn = {"name": point.method, "size": point.size, "value": point.value, "low": low, "high": high}
        drawn |= {"lowest": min(point.draws), "highest": max(point.draws)}
        panels.setdefault(UNITS[point.along], []).append(drawn)
    charts = curve_charts(panels, cfg.metric.name)
    path = Path(cfg.paths.run_dir) / CONFIG
    picture, page = path.with_suffix(".png"), path.with_suffix(".html")
    with atomic_write(picture) as temporary:
        temporary.write_bytes(image(beside([chart.spec for chart in charts])))
    sections = curve_sections(*_table(points), about, charts)
    write_page(page, "Learning curves", [about["data"]], sections, Cache(Path(str(cfg.paths.cache_dir))))
    print(f"plot: {picture}\npage: {page}")
