"""What boards of rankers share: checks of their commands, and rows that are kept until a board is finished."""

import json
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from hydra import compose
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf

from askagain.apps.build import build_corpus
from askagain.apps.checks import check_settings
from askagain.apps.inputs import file_states
from askagain.apps.trainings import TRAIN, sets
from askagain.corpus.cache import Cache
from askagain.corpus.corpus import Corpus
from askagain.errors import InputError, missing_package
from askagain.files.arrays import load_array
from askagain.files.json_files import write_json
from askagain.ranking.metrics import Metrics

ROWS = ".rows"  # in the folder of a board that is not finished
SHARED_WITH_TRAINING = ("data", "paths.cache_dir", "preprocessor")  # keys whose overrides are passed to train.py


@dataclass(frozen=True)
class Row:
    """What a ranker, or one of its seeds, gives: its metrics, and their values of each query.

    `preprocessor`: the name of what it reads text with. `texts_per_second`: its speed, 0 where that is not measured.
    """

    preprocessor: str
    metrics: Metrics
    per_query: dict[str, np.ndarray]
    where: str
    texts_per_second: float = 0.0

    @property
    def milliseconds(self) -> float:
        """To rank the candidates of a question."""
        return 1000 * self.metrics["seconds"] / len(next(iter(self.per_query.values())))


def check_packages(packages: Mapping[str, str]) -> None:
    """Raises InputError for a package of a plot that is not installed; `packages`: the extra of each."""
    for package, extra in packages.items():
        if find_spec(package) is None:
            raise InputError(f"{missing_package(package, extra)}, or set plot=false")


def check_commands(
    board: str, commands: Mapping[str, Sequence[str]], typed: Sequence[str], shared: Sequence[str], seeds: str
) -> None:
    """Raises InputError for overrides from which no valid config is composed, before anything is trained.

    Args:
        board: the name of its config.
        commands: the overrides of each ranker, after train.py where it is trained, by its name.
        typed: overrides of the board.
        shared: those of them that are passed to train.py.
        seeds: the override with which the board sets the seeds of trainings.
    """
    for name, command in commands.items():
        if command[0] == TRAIN and any(sets(override, ("seed",)) for override in command):
            raise InputError(f"{name}: leave seed= out; {seeds} trains once with each")
        try:
            if command[0] == TRAIN:
                check_settings("train", compose("train", [*shared, *command[1:]]))
            else:
                check_settings(board, compose(board, [*typed, *command]))
        except (HydraException, InputError) as error:
            raise InputError(f"{name}: {shlex.join(command)}: {error}") from error


def kept_row(
    board: str, overrides: Sequence[str], run_dir: Path, evaluated: Callable[[DictConfig, Corpus], Row]
) -> Row:
    """What an earlier, unfinished board in the same folder has found with the same settings and files, or anew.

    It is kept in the folder until the board is finished. `board`: the name of its config. `evaluated`: ranks a corpus
    with the ranker of a config.
    """
    own = compose(board, list(overrides))
    corpus = build_corpus(own)
    settings: Any = OmegaConf.to_container(own, resolve=False)
    cache = Cache(Path(str(own.paths.cache_dir)))
    data = [cache.content_digest(path) for path in asdict(corpus.files).values() if path is not None]
    key = {"settings": settings, "data": data, "files": file_states(settings)}

    def build(folder: Path) -> None:
        row = evaluated(own, corpus)
        about = {
            "preprocessor": row.preprocessor,
            "metrics": row.metrics,
            "where": row.where,
            "speed": row.texts_per_second,
            "names": list(row.per_query),
        }
        write_json(folder / "row.json", about)
        np.save(folder / "per_query.npy", np.stack(list(row.per_query.values())), allow_pickle=False)

    def load(folder: Path) -> Row:
        about = json.loads((folder / "row.json").read_bytes())
        per_query = dict(zip(about["names"], load_array(folder / "per_query.npy"), strict=True))
        return Row(about["preprocessor"], about["metrics"], per_query, about["where"], about["speed"])

    return Cache(run_dir / ROWS).entry("row", key, build, load)
