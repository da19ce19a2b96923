"""The CSV logger, which keeps what earlier runs into the same folder have logged."""

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pytorch_lightning.loggers import CSVLogger
from pytorch_lightning.loggers.csv_logs import ExperimentWriter
from pytorch_lightning.loggers.logger import rank_zero_experiment
from pytorch_lightning.utilities import rank_zero_only

from askagain.files.writing import write_text

STEP = "step"


class CsvLogger(CSVLogger):
    """Writes `save_dir/metrics.csv`, after every epoch at least, whole or not at all.

    Lightning's own logger deletes the file of an earlier run into the same folder. Here its rows stay, but for those of
    steps that a resumed run repeats, see `resume_at`.
    """

    def __init__(self, save_dir: str, **settings: Any) -> None:
        super().__init__(save_dir, name="", version="", **settings)

    @rank_zero_only
    def resume_at(self, step: int) -> None:
        """Drops the rows that an earlier run has logged of this step and of later ones."""
        self.experiment.rows = [row for row in self.experiment.rows if _step(row) < step]

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
    """`rows`: all that the file holds, those of earlier runs included."""

    def __init__(self, log_dir: str) -> None:
        super().__init__(log_dir)
        self.rows: list[dict[str, Any]] = []
        path = Path(self.metrics_file_path)
        if path.is_file():
            with path.open(encoding="utf-8", errors="replace", newline="") as file:
                self.rows = list(csv.DictReader(file))

    def _check_log_dir_exists(self) -> None:
        """Lightning deletes the earlier file here."""

    def save(self) -> None:
        if not self.metrics:
            return
        self.rows += self.metrics
        self.metrics = []
        names = sorted({name for row in self.rows for name in row if isinstance(name, str)})
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, names, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        write_text(Path(self.metrics_file_path), [text.getvalue()])


def _step(row: Mapping[str, Any]) -> float:
    try:
        return float(row[STEP])
    except (KeyError, TypeError, ValueError):  # a line that was cut
        return -1
