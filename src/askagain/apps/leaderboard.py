"""`scripts/leaderboard.py`: compares several rankers on the same rows, in a table and a plot."""

import logging
import shlex
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from functools import partial
from pathlib import Path
from shutil import rmtree
from statistics import fmean

import numpy as np
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from askagain.apps.api import quoted
from askagain.apps.boards import ROWS, SHARED_WITH_TRAINING, Row, check_commands, check_packages, kept_row
from askagain.apps.build import import_modules
from askagain.apps.command_line import for_hydra
from askagain.apps.evaluate import chosen_ranker, evaluation
from askagain.apps.preprocessors import text_seen_by
from askagain.apps.report import ENDS, with_ends, write_table
from askagain.apps.trainings import TRAIN, Trainings, sets
from askagain.corpus.cache import Cache
from askagain.corpus.corpus import Corpus
from askagain.distributed.launch import end_on_sigterm
from askagain.errors import InputError
from askagain.evaluation.combined import RowRanker
from askagain.evaluation.evaluate import Ranker
from askagain.machine import machine
from askagain.models.lexical import LexicalRanker
from askagain.ranking.metrics import Metrics
from askagain.ranking.significance import Comparison, compare, intervals, with_intervals
from askagain.reporting.board_sections import board_sections
from askagain.reporting.page import write_page

CONFIG = "leaderboard"
OWN = ("rankers", "board", "seeds")  # keys of the leaderboard alone
FIRST_TEXTS = 64  # embedded before the time is taken

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Entry:
    """A ranker's row of the table; its metrics are means over seeds.

    `preprocessor`: the name of what it reads text with. `command`: its overrides, after train.py where it is trained.
    `seeds`: it was trained with, if any. `over_seeds`: the lowest and the highest `metric.name` of a seed.
    `milliseconds`: to rank the candidates of a question. `versus_first`: None for the first ranker.
    """

    name: str
    preprocessor: str
    command: list[str]
    seeds: list[int]
    metrics: Metrics
    over_seeds: tuple[float, float]
    texts_per_second: float
    milliseconds: float
    versus_first: Comparison | None


def leaderboard(cfg: DictConfig, root: Path) -> None:
    """Evaluates each of `cfg.rankers` and writes their table; `root` is the folder of train.py.

    Raises InputError for a mistake in the config, in the data or in a ranker, and where a training fails.
    """
    if cfg.plot:
        check_packages({"matplotlib": "plot", "altair": "report", "jinja2": "report", "vl_convert": "report"})
    end_on_sigterm()
    import_modules(cfg)
    rankers, seeds = _rankers(cfg), list(cfg.seeds)
    typed = [override for override in HydraConfig.get().overrides.task if not sets(override, OWN)]
    shared = [override for override in typed if sets(override, SHARED_WITH_TRAINING)]
    check_commands(CONFIG, rankers, typed, shared, "seeds=[0,1,2]")
    folder = Path(cfg.paths.run_dir)
    trained = sum(command[0] == TRAIN for command in rankers.values())
    trainings = Trainings(folder, shared, root, trained * len(seeds))
    entries: list[Entry] = []
    first: np.ndarray | None = None
    where = ""
    for name, command in rankers.items():
        log.info("%s: %s", name, shlex.join(command))
        results = list(_evaluations(cfg, name, command, typed, seeds, trainings))
        per_query = {
            column: np.mean([result.per_query[column] for result in results], axis=0) for column in results[0].per_query
        }
        over_seeds = [result.metrics[cfg.metric.name] for result in results]
        values, where = per_query[cfg.metric.name], results[0].where
        entries.append(
            Entry(
                name=name,
                preprocessor=results[0].preprocessor,
                command=command,
                seeds=seeds if command[0] == TRAIN else [],
                metrics=with_intervals(_means(results), intervals(per_query, **cfg.intervals, seed=cfg.seed)),
                over_seeds=(min(over_seeds), max(over_seeds)),
                texts_per_second=fmean(result.texts_per_second for result in results),
                milliseconds=fmean(result.milliseconds for result in results),
                versus_first=None if first is None else compare(values, first, cfg.resamples, cfg.seed),
            )
        )
        first = values if first is None else first
        about = {
            "measured": date.today().isoformat(),
            "data": where,
            "ties": cfg.ties,
            "training seeds": ", ".join(map(str, seeds)),
            "p": f"of the difference in {cfg.metric.name} from the first ranker",
        } | machine()
        log.info("%s: %s %s", name, cfg.metric.name, with_ends(entries[-1].metrics, cfg.metric.name))
        _write(entries, about, cfg, folder, is_whole=len(entries) == len(rankers))
    if cfg.plot:
        plot(entries, cfg.metric.name, folder / "leaderboard.png")
        _write_page(entries, about, cfg, folder)


def _rankers(cfg: DictConfig) -> dict[str, list[str]]:
    """The command of each ranker, by name; a ranker without a name is named by its overrides."""
    given = OmegaConf.to_container(cfg.rankers)
    rankers: dict[str, list[str]] = {}
    for item in given or []:
        by_name = item if isinstance(item, dict) else {item: item}
        for name, command in zip(map(str, by_name), by_name.values(), strict=True):
            if name in rankers:
                raise InputError(f"rankers: two are called {name}; give one of them another name")
            rankers[name] = for_hydra(shlex.split(str(command)))
    if not rankers or not all(rankers.values()):
        raise InputError("rankers: must be a list of evaluate.py overrides, such as ['ranker=bm25','encoder.path=RUN']")
    return rankers


def _evaluations(
    cfg: DictConfig,
    name: str,
    command: Sequence[str],
    typed: Sequence[str],
    seeds: Sequence[int],
    trainings: Trainings,
) -> Iterator[Row]:
    """Evaluates a ranker and measures its texts a second, once for each seed where it is trained."""
    folder, evaluated = Path(cfg.paths.run_dir), partial(_evaluated, cfg)
    if command[0] != TRAIN:
        yield kept_row(CONFIG, [*typed, *command], folder, evaluated)
        return
    for seed in seeds:
        run = trainings.run(name, command[1:], seed)
        yield kept_row(CONFIG, [*typed, f"encoder.path={quoted(run)}"], folder, evaluated)


def _evaluated(cfg: DictConfig, own: DictConfig, corpus: Corpus) -> Row:
    ranker = chosen_ranker(own, corpus)
    speed = _texts_per_second(ranker, corpus.ranking(own.data.split).texts[: FIRST_TEXTS + cfg.speed_texts])
    result = evaluation(own, ranker, corpus)
    if cfg.metric.name not in result.per_query:
        raise InputError(f"metric.name={cfg.metric.name}: must be one of {', '.join(result.per_query)}")
    for column in cfg.columns:
        if column not in result.metrics:
            raise InputError(f"{column}: no such metric; there are {', '.join(result.metrics)}")
    return Row(text_seen_by(ranker), result.metrics, result.per_query, result.where, speed)


def _means(results: Sequence[Row]) -> dict[str, float]:
    """The mean of each metric, without the ends of intervals."""
    names = [name for name in results[0].metrics if not name.endswith(ENDS)]
    return {name: fmean(one.metrics[name] for one in results) for name in names}


def _texts_per_second(ranker: Ranker, texts: Sequence[str]) -> float:
    """How many new texts a ranker turns into vectors in a second."""
    if isinstance(ranker, RowRanker):
        ranker = ranker.encoder
    embed = ranker.candidates if isinstance(ranker, LexicalRanker) else ranker.encode
    embed(texts[:FIRST_TEXTS])
    rest = texts[FIRST_TEXTS:] or texts
    began = time.perf_counter()
    embed(rest)
    return len(rest) / (time.perf_counter() - began)


def _write(entries: Sequence[Entry], about: Mapping[str, str], cfg: DictConfig, folder: Path, is_whole: bool) -> None:
    headings, rows = _table(entries, cfg)
    details = {"rankers": [asdict(entry) for entry in entries]}
    write_table(folder / "leaderboard", headings, rows, about, details, is_shown=is_whole)
    if is_whole:
        rmtree(folder / ROWS, ignore_errors=True)


def _table(entries: Sequence[Entry], cfg: DictConfig) -> tuple[list[str], list[list[str]]]:
    """Headings and rows."""
    several = len(cfg.seeds) > 1 and any(entry.seeds for entry in entries)
    headings = ["ranker", "preprocessor", *cfg.columns, *([f"{cfg.metric.name} over seeds"] if several else [])]
    headings += ["wins, losses", "p", "texts/s", "ms/question"]
    return headings, [_cells(entry, cfg.columns, several) for entry in entries]


def _write_page(entries: Sequence[Entry], about: Mapping[str, str], cfg: DictConfig, folder: Path) -> None:
    """Writes leaderboard.html: the table, and the plot to look into."""
    metric = cfg.metric.name
    drawn = [
        {
            "name": entry.name,
            "speed": entry.texts_per_second,
            "value": entry.metrics[metric],
            "low": entry.metrics[f"{metric}{ENDS[0]}"],
            "high": entry.metrics[f"{metric}{ENDS[1]}"],
        }
        for entry in entries
    ]
    sections = board_sections(*_table(entries, cfg), about, drawn, metric)
    path = folder / "leaderboard.html"
    write_page(path, "Leaderboard", [about["data"]], sections, Cache(Path(str(cfg.paths.cache_dir))))
    print(f"page: {path}")


def _cells(entry: Entry, columns: Sequence[str], several: bool) -> list[str]:
    versus = entry.versus_first
    over_seeds = " to ".join(f"{end:.4f}" for end in entry.over_seeds) if entry.seeds else ""
    return [
        entry.name,
        entry.preprocessor,
        *(with_ends(entry.metrics, column) for column in columns),
        *([over_seeds] if several else []),
        "" if versus is None else f"{versus.wins}, {versus.losses}",
        "" if versus is None else f"{versus.p:.4f}",
        f"{entry.texts_per_second:,.0f}",
        f"{entry.milliseconds:,.1f}",
    ]


def plot(entries: Sequence[Entry], metric: str, path: Path) -> None:
    """Plots the metric of each ranker, with its interval, against its texts a second."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    for entry in entries:
        value, low, high = (entry.metrics[f"{metric}{end}"] for end in ("", "_low", "_high"))
        ends = [[value - low], [high - value]]
        axes.errorbar(entry.texts_per_second, value, yerr=ends, fmt="o", capsize=3, label=entry.name)
    axes.set(xscale="log", xlabel="texts per second", ylabel=metric)
    axes.grid(alpha=0.3)
    figure.legend(loc="outside right upper")
    figure.savefig(path, dpi=150)
    print(f"plot: {path}")
