"""`report.json`: all that the report of a run is made of, so that it can be made again and compared with others."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from askagain.errors import InputError
from askagain.files.json_files import read_sealed_json, write_sealed_json
from askagain.ranking.metrics import per_query_metrics
from askagain.ranking.ranks import Ranks
from askagain.ranking.significance import Comparison

FILE = "report.json"  # in a run folder
FORMAT = 1


@dataclass(frozen=True)
class RankedRows:
    """The ranks that a ranker gives the validation rows, see `askagain.ranking.ranks.Ranks`.

    `test`: the paired test of the kept encoder against it, a `Comparison`; None for that encoder itself.
    """

    name: str
    above: list[int]
    tied: list[int]
    test: dict[str, Any] | None = None

    @classmethod
    def of(cls, name: str, ranks: Ranks, test: Comparison | None = None) -> "RankedRows":
        """What `Ranks` holds, for JSON."""
        return cls(name, ranks.above.tolist(), ranks.tied.tolist(), None if test is None else asdict(test))

    @property
    def comparison(self) -> Comparison | None:
        return None if self.test is None else Comparison(**self.test)

    @property
    def ranks(self) -> Ranks:
        return Ranks(np.array(self.above, dtype=np.int64), np.array(self.tied, dtype=np.int64))


@dataclass(frozen=True)
class Record:
    """What is known of a run when it ends; everything is a JSON value.

    Attributes:
        about: What the run is, by name: its data, when it ended, its command, version and commit.
        machine: See `askagain.machine.machine`.
        config: As the run has used it.
        counts: Sizes of the data and of the encoder, by name.
        metrics: Those of metrics.json.
        decides: The metric of the validation rows that comparisons are made by, and `mode`: `max` or `min`.
        mode: Whether more of it is better.
        ks: The K of Hits@K.
        ties: How ties count, see `askagain.ranking.metrics.hits_at_k`.
        confidence: Of intervals.
        resamples: Of the rows for an interval, and of the permutation test.
        seed: Of what is drawn.
        intervals: The ends of each interval, by ranking set (`val`, `test`) and metric.
        validation: SHA-256 of the file of validation rows.
        questions: The question and the duplicate of each validation row.
        rankers: What ranked these rows: the encoder that was kept first, then what it is compared with.
        epochs: See `askagain.training.callbacks.hits_at_k.HitsAtK`; empty where nothing was trained.
        kept_after: How many epochs the kept encoder was trained; None: it is not of a certain epoch.
        dims: MRR and its interval with the first columns of the encoder.
        reliability: See `askagain.reporting.encoder_facts.reliability_of`.
        worst: See `askagain.reporting.encoder_facts.explained`.
        nearest: Words and their nearest words.
        word_map: See `askagain.reporting.encoder_facts.word_map`.
        data: What is in the corpus, see `askagain.reporting.corpus_facts`.
    """

    about: dict[str, str]
    machine: dict[str, str]
    config: dict[str, Any]
    counts: dict[str, float]
    metrics: dict[str, float]
    decides: str
    mode: str
    ks: list[int]
    ties: str
    confidence: float
    resamples: dict[str, int]
    seed: int
    intervals: dict[str, dict[str, list[float]]]
    validation: str
    questions: list[list[str]]
    rankers: list[RankedRows]
    epochs: list[dict[str, Any]]
    kept_after: int | None
    dims: list[dict[str, float]]
    reliability: dict[str, Any]
    worst: list[dict[str, Any]]
    nearest: list[dict[str, Any]]
    word_map: dict[str, list[Any]]
    data: dict[str, Any]

    @cached_property
    def per_query(self) -> list[dict[str, np.ndarray]]:
        """The metrics of each validation row, [rows] by name, by each of `rankers`."""
        return [per_query_metrics(ranked.ranks, self.ks, self.ties) for ranked in self.rankers]

    @property
    def compared_by(self) -> str:
        """The metric that rankers are compared by: `decides`, or MRR where it has no value for each row."""
        return self.decides if self.decides in self.per_query[0] else "mrr"

    def save(self, folder: Path) -> None:
        """Writes `report.json`."""
        write_sealed_json(folder / FILE, {"format": FORMAT, **asdict(self)})

    @classmethod
    def load(cls, folder: Path) -> "Record":
        """What `save` wrote into a run folder; raises InputError where nothing is there, or something else."""
        path = folder / FILE
        if not folder.is_dir():
            raise InputError(f"{folder}: no such run folder")
        if not path.is_file():
            raise InputError(
                f"{folder}: no {FILE} in it; it is no run folder, or its training did not end, or had report=false"
            )
        try:
            content: dict[str, Any] = read_sealed_json(path)
            if content.pop("format") != FORMAT:
                raise ValueError("it is of another version")
            rankers = [RankedRows(**ranked) for ranked in content["rankers"]]
            record = cls(**content | {"rankers": rankers})
            if not rankers or any(len(ranked.above) != len(record.questions) for ranked in rankers):
                raise ValueError("ranks are missing")
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise InputError(f"{path}: cannot be used ({error}); train the run again") from error
        return record


def flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """A config as values by dotted key, as they are typed."""
    values: dict[str, Any] = {}
    for name, value in config.items():
        key = f"{prefix}{name}"
        values |= flat(value, f"{key}.") if isinstance(value, dict) and value else {key: value}
    return values
