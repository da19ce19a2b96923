"""The CSV logger, which keeps what earlier runs into the same folder have logged."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from pytorch_lightning.loggers import CSVLogger
from pytorch_lightning.loggers.csv_logs import ExperimentWriter
from pytorch_lightning.loggers.logger import rank_zero_experiment
from pytorch_lightning.utilities import rank_zero_only

from askagain.errors import InputError
from askagain.files.writing import write_text

STEP = "step"
Row = Mapping[str, Any]


class CsvLogger(CSVLogger):
    """Appends to `save_dir/metrics.csv`; for a new column the file is written anew, whole or not at all.

    Lightning's own logger deletes the file of an earlier run into the same folder. Here its rows stay, but for those of
    steps that a resumed run repeats, see `resume_at`. Raises InputError for an earlier file that is no CSV.
    """

    def __init__(self, save_dir: str, **settings: Any) -> None:
        super().__init__(save_dir, name="", version="", **settings)

    @rank_zero_only
    def resume_at(self, step: int, unlogged: Row | None = None) -> None:
        """Drops the rows that the run to resume has logged of this step and of later ones.

        Runs before it in the same file, which begin at a lower step than the one before them has ended at, keep theirs.
        `unlogged`: the row that was to be logged when the checkpoint was written; added where it is missing.
        """
        self.experiment.resume_at(step, unlogged)

    @property
    @rank_zero_experiment
    def experiment(self) -> "_KeepingWriter":
        if not isinstance(self._experiment, _KeepingWriter):
            self._experiment = _KeepingWriter(self.log_dir)
        return self._experiment

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        super().log_metrics(dict(metrics), step)
        if any(name.startswith("val/") for name in metrics):
            self.save()


class _KeepingWriter(ExperimentWriter):
    """Appends rows to the file that is there."""

    def __init__(self, log_dir: str) -> None:
        super().__init__(log_dir)
        self._path = Path(self.metrics_file_path)
        self._names: list[str] = []  # the file's columns; none where the next row cannot be appended
        self._rewrite(_read(self._path))

    def _check_log_dir_exists(self) -> None:
        """Lightning deletes the earlier file here."""

    def save(self) -> None:
        rows, self.metrics = self.metrics, []
        if not rows:
            return
        if self._names == _columns([*rows, dict.fromkeys(self._names)]) and self._path.is_file():
            with self._path.open("a", encoding="utf-8", newline="") as file:
                _writer(file, self._names).writerows(rows)
        else:
            self._rewrite([*_read(self._path), *rows])

    def resume_at(self, step: int, unlogged: Row | None) -> None:
        rows = _read(self._path)
        start = max((i for i in range(1, len(rows)) if 0 <= _step(rows[i]) < _step(rows[i - 1])), default=0)
        kept = [*rows[:start], *(row for row in rows[start:] if _step(row) < step)]
        if unlogged is not None and not any(_has(row, unlogged) for row in kept[start:]):
            kept.append(unlogged)
        self._rewrite(kept)

    def _rewrite(self, rows: Sequence[Row]) -> None:
        if not rows and not self._path.is_file():
            return
        self._names = _columns(rows)
        text = io.StringIO(newline="")
        writer = _writer(text, self._names)
        writer.writeheader()
        writer.writerows(rows)
        write_text(self._path, [text.getvalue()])


def _columns(rows: Iterable[Row]) -> list[str]:
    return sorted({name for row in rows for name in row if isinstance(name, str)})


def _writer(file: TextIO, names: Sequence[str]) -> "csv.DictWriter[str]":
    return csv.DictWriter(file, names, extrasaction="ignore", lineterminator="\n")


def _read(path: Path) -> list[Row]:
    """The rows of a CSV file, without a last one that was cut; none where there is no file."""
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", errors="replace", newline="") as file:
        whole_lines = file.read().rpartition("\n")[0]
    try:
        return list(csv.DictReader(io.StringIO(whole_lines, newline="")))
    except csv.Error as error:
        raise InputError(f"{path}: cannot be read ({error}); move it away to start a new one") from error


def _step(row: Row) -> float:
    try:
        return float(row[STEP])
    except (KeyError, TypeError, ValueError):  # a damaged line
        return -1


def _has(row: Row, other: Row) -> bool:
    """Whether a row is of the same step as another one, and has all that the other has."""
    return _step(row) == _step(other) and all(row.get(name) not in (None, "") for name in other)
