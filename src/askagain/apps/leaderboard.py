"""`scripts/leaderboard.py`: several rankers on the same rows, as a table, JSON, Markdown and a plot."""

import logging
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from importlib.util import find_spec
from pathlib import Path
from shutil import rmtree
from statistics import fmean

import numpy as np
from hydra import compose
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf

from askagain.apps.build import build_corpus
from askagain.apps.checks import check_settings
from askagain.apps.evaluate import Evaluation, build_ranker, evaluation
from askagain.apps.report import ENDS, with_ends
from askagain.apps.sweep import METRICS
from askagain.apps.tables import leave_table
from askagain.errors import InputError, RunError
from askagain.evaluation.evaluate import Ranker
from askagain.machine import machine
from askagain.models.lexical import LexicalRanker
from askagain.ranking.significance import Comparison, compare, intervals, with_intervals

TRAIN = "train.py"
MISTAKE = 2  # its exit status for a mistake of the user's
OWN = ("rankers", "board", "seeds")  # words of the leaderboard alone
SHARED_WITH_TRAINING = ("data", "paths.cache_dir", "preprocessor")  # words that train.py is given as well
FIRST_TEXTS = 64  # embedded before the clock runs

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Entry:
    """A row of the table, its figures means over seeds.

    `seeds`: that it was trained with, none where nothing was trained. `over_seeds`: lowest and highest `metric.name` of
    one seed; `versus_first`: None for the first.
    """

    name: str
    words: list[str]
    seeds: list[int]
    figures: dict[str, float]
    over_seeds: tuple[float, float]
    texts_per_second: float
    versus_first: Comparison | None


@dataclass
class Trainings:
    """Runs the trainings of a leaderboard, each into a folder of its own below `folder`, and counts them.

    `shared`: words that each is given; `root`: the folder of train.py; `total`: how many there will be.
    """

    folder: Path
    shared: list[str]
    root: Path
    total: int
    begun: int = 0

    def run(self, name: str, words: Sequence[str], seed: int) -> Path:
        """The run folder of a training with these words; one that stands there, done, is not repeated.

        Raises InputError where the training finds a mistake, and RunError where it fails otherwise.
        """
        self.begun += 1
        folder = self.folder / name.replace("/", "_") / f"seed-{seed}"
        given = [*self.shared, *words[1:], f"seed={seed}"]
        which = f"training {self.begun} of {self.total}: {name}, seed {seed}"
        if _done(folder, given):
            log.info("%s, stands in %s already and is not repeated", which, folder)
            return folder
        log.info("%s", which)
        # What another training left would be taken for this one's if this one were killed.
        (folder / METRICS).unlink(missing_ok=True)
        rmtree(folder / "encoder", ignore_errors=True)
        command = [sys.executable, str(self.root / TRAIN), *given, f"hydra.run.dir={_quoted(folder)}"]
        result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if result.returncode:
            said = result.stdout.splitlines()[-1] if result.stdout else "failed"
            message = f"{shlex.join(words)}: {said.removeprefix('error: ')}"
            raise InputError(message) if result.returncode == MISTAKE else RunError(message, 1)
        return folder


def leaderboard(cfg: DictConfig, root: Path) -> None:
    """Evaluates each of `cfg.rankers`, prints a table, and writes it into the run folder; `root` is train.py's folder.

    Raises InputError for a mistake in the config, in the data or in a ranker, and where a training fails.
    """
    if cfg.plot and find_spec("matplotlib") is None:
        raise InputError("matplotlib is missing here; pip install matplotlib, or set plot=false")
    rankers, seeds = _rankers(cfg), list(cfg.seeds)
    typed = [word for word in HydraConfig.get().overrides.task if not _is_of(word, OWN)]
    shared = [word for word in typed if _is_of(word, SHARED_WITH_TRAINING)]
    _check_words(rankers, typed, shared)
    folder = Path(cfg.paths.run_dir)
    trained = sum(words[0] == TRAIN for words in rankers.values())
    trainings = Trainings(folder, shared, root, trained * len(seeds))
    entries: list[Entry] = []
    first: np.ndarray | None = None
    where = ""
    for name, words in rankers.items():
        log.info("%s: %s", name, shlex.join(words))
        found, speeds = zip(*_evaluations(cfg, name, words, typed, seeds, trainings), strict=True)
        rows = {column: np.mean([one.per_query[column] for one in found], axis=0) for column in found[0].per_query}
        of_seeds = [one.metrics[cfg.metric.name] for one in found]
        values, where = rows[cfg.metric.name], found[0].where
        entries.append(
            Entry(
                name=name,
                words=words,
                seeds=seeds if words[0] == TRAIN else [],
                figures=with_intervals(_means(found), intervals(rows, **cfg.intervals, seed=cfg.seed)),
                over_seeds=(min(of_seeds), max(of_seeds)),
                texts_per_second=fmean(speeds),
                versus_first=None if first is None else compare(values, first, cfg.resamples, cfg.seed),
            )
        )
        first = values if first is None else first
    about = {
        "measured": date.today().isoformat(),
        "data": where,
        "ties": cfg.ties,
        "seeds of what is trained": ", ".join(map(str, seeds)),
        "p": f"of the difference in {cfg.metric.name} to the first",
    } | machine()
    _leave(entries, about, cfg, folder)
    if cfg.plot:
        plot(entries, cfg.metric.name, folder / "leaderboard.png")


def _rankers(cfg: DictConfig) -> dict[str, list[str]]:
    """The words of each ranker, by name; one that is given without a name is named by its words."""
    given = OmegaConf.to_container(cfg.rankers)
    rankers: dict[str, list[str]] = {}
    for item in given or []:
        by_name = item if isinstance(item, dict) else {item: item}
        rankers |= {str(name): shlex.split(str(words)) for name, words in by_name.items()}
    if not rankers or not all(rankers.values()):
        raise InputError("rankers: must be a list of words for evaluate.py, such as ['ranker=bm25','encoder.path=RUN']")
    return rankers


def _check_words(rankers: Mapping[str, Sequence[str]], typed: Sequence[str], shared: Sequence[str]) -> None:
    """Raises InputError for words of which no config can be composed, before anything is trained."""
    for name, words in rankers.items():
        if any(_is_of(word, ("seed",)) for word in words) and words[0] == TRAIN:
            raise InputError(f"{name}: leave seed= out of its words; seeds=[0,1,2] trains once with each")
        try:
            if words[0] == TRAIN:
                check_settings("train", compose("train", [*shared, *words[1:]]))
            else:
                check_settings("leaderboard", compose("leaderboard", [*typed, *words]))
        except (HydraException, InputError) as error:
            raise InputError(f"{name}: {shlex.join(words)}: {error}") from error


def _evaluations(
    cfg: DictConfig,
    name: str,
    words: Sequence[str],
    typed: Sequence[str],
    seeds: Sequence[int],
    trainings: Trainings,
) -> Iterator[tuple[Evaluation, float]]:
    """What a ranker comes to and its texts a second: of each seed where it is trained, else once."""
    if words[0] != TRAIN:
        yield _evaluated(cfg, [*typed, *words])
        return
    for seed in seeds:
        run = trainings.run(name, words, seed)
        yield _evaluated(cfg, [*typed, f"encoder.path={_quoted(run)}"])


def _evaluated(cfg: DictConfig, words: Sequence[str]) -> tuple[Evaluation, float]:
    own = compose("leaderboard", list(words))
    corpus = build_corpus(own)
    ranker = build_ranker(own, corpus)
    speed = _texts_per_second(ranker, corpus.ranking(own.data.split).texts[: FIRST_TEXTS + cfg.speed_texts])
    found = evaluation(own, ranker, corpus)
    if cfg.metric.name not in found.per_query:
        raise InputError(f"metric.name={cfg.metric.name}: must be one of {', '.join(found.per_query)}")
    for column in cfg.columns:
        if column not in found.metrics:
            raise InputError(f"{column}: no such metric; there are {', '.join(found.metrics)}")
    return found, speed


def _means(found: Sequence[Evaluation]) -> dict[str, float]:
    """The mean of each figure, the ends of intervals left out."""
    names = [name for name in found[0].metrics if not name.endswith(ENDS)]
    return {name: fmean(one.metrics[name] for one in found) for name in names}


def _done(folder: Path, given: Sequence[str]) -> bool:
    """Whether a training with these words has come to its end in this folder."""
    overrides = folder / ".hydra" / "overrides.yaml"
    if not (folder / METRICS).is_file() or not overrides.is_file():
        return False
    return OmegaConf.to_container(OmegaConf.load(overrides)) == [word for word in given if not _is_of(word, ("hydra",))]


def _is_of(word: str, keys: Sequence[str]) -> bool:
    """Whether an override sets one of these keys or something below it."""
    key = word.lstrip("+~").split("=")[0]
    return any(key == one or key.startswith((f"{one}.", f"{one}/", f"{one}@")) for one in keys)


def _quoted(path: Path) -> str:
    """A path as the value of an override, whatever characters a ranker's name has brought into it."""
    escaped = str(path).replace("'", "\\'")
    return f"'{escaped}'"


def _texts_per_second(ranker: Ranker, texts: Sequence[str]) -> float:
    """How many texts a ranker turns into vectors, those that it has not met before."""
    embed = ranker.candidates if isinstance(ranker, LexicalRanker) else ranker.encode
    embed(texts[:FIRST_TEXTS])
    rest = texts[FIRST_TEXTS:] or texts
    began = time.perf_counter()
    embed(rest)
    return len(rest) / (time.perf_counter() - began)


def _leave(entries: Sequence[Entry], about: Mapping[str, str], cfg: DictConfig, folder: Path) -> None:
    several = len(cfg.seeds) > 1 and any(entry.seeds for entry in entries)
    headings = ["ranker", *cfg.columns, *([f"{cfg.metric.name} over seeds"] if several else [])]
    headings += ["wins, losses", "p", "texts/s"]
    rows = [_cells(entry, cfg.columns, several) for entry in entries]
    details = {"rankers": [asdict(entry) for entry in entries]}
    leave_table(folder / "leaderboard", headings, rows, about, details)


def _cells(entry: Entry, columns: Sequence[str], several: bool) -> list[str]:
    versus = entry.versus_first
    over_seeds = " to ".join(f"{end:.4f}" for end in entry.over_seeds) if entry.seeds else ""
    return [
        entry.name,
        *(with_ends(entry.figures, column) for column in columns),
        *([over_seeds] if several else []),
        "" if versus is None else f"{versus.wins}, {versus.losses}",
        "" if versus is None else f"{versus.p:.4f}",
        f"{entry.texts_per_second:,.0f}",
    ]


def plot(entries: Sequence[Entry], metric: str, path: Path) -> None:
    """Draws the figure of each ranker, with its interval, against how many texts a second it turns into vectors."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    for entry in entries:
        value, low, high = (entry.figures[f"{metric}{end}"] for end in ("", "_low", "_high"))
        ends = [[value - low], [high - value]]
        axes.errorbar(entry.texts_per_second, value, yerr=ends, fmt="o", capsize=3, label=entry.name)
    axes.set(xscale="log", xlabel="texts per second", ylabel=metric)
    axes.grid(alpha=0.3)
    figure.legend(loc="outside right upper")
    figure.savefig(path, dpi=150)
    print(f"plot: {path}")
