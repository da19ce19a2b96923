"""Shows how the runs of a sweep compare when the last one is done."""

from typing import Any

from hydra.core.utils import JobReturn, JobStatus
from hydra.experimental.callback import Callback
from omegaconf import DictConfig
from rich.console import Console
from rich.table import Table
from rich.text import Text


class CompareRuns(Callback):
    """Prints, on standard error, the runs of a multirun by the metric they returned, the best first."""

    def __init__(self) -> None:
        self.runs: list[tuple[str, float | None, str]] = []
        self.metric, self.mode = "metric", "max"

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **kwargs: Any) -> None:
        """Notes what a run was given and what it returned."""
        value = job_return.return_value if job_return.status == JobStatus.COMPLETED else None
        number = str(config.hydra.job.num) if "num" in config.hydra.job else "?"
        self.runs.append((number, value, " ".join(job_return.overrides or [])))
        if "metric" in config:
            self.metric, self.mode = config.metric.name, config.metric.get("mode", "max")

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Prints the table."""
        sign = -1 if self.mode == "max" else 1
        runs = sorted(self.runs, key=lambda run: float("inf") if run[1] is None else sign * run[1])
        table = Table("run", self.metric, "with", title="Runs of the sweep, best first", title_justify="left")
        for number, value, overrides in runs:
            table.add_row(number, "failed" if value is None else f"{value:.4f}", Text(overrides))
        Console(stderr=True).print(table)
