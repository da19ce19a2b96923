"""Shows how the runs of a sweep compare when the last one is done."""

from typing import Any, NamedTuple

from hydra.core.utils import JobReturn, JobStatus
from hydra.experimental.callback import Callback
from omegaconf import DictConfig


class SweepRun(NamedTuple):
    """A run: its number, what it was given, and the metric it returned (None: it failed)."""

    number: str
    overrides: str
    value: float | None
    metric: str
    mode: str


RUNS: list[SweepRun] = []  # of the sweep that this process has done


class NoteRuns(Callback):
    """Notes every run of a sweep in `RUNS`."""

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **kwargs: Any) -> None:
        """Called by Hydra after each run, also after one that failed; a run outside of a sweep has no number."""
        if "metric" not in config or "num" not in config.hydra.job:
            return
        value = job_return.return_value if job_return.status == JobStatus.COMPLETED else None
        overrides = " ".join(job_return.overrides or [])
        mode = config.metric.get("mode", "max")
        RUNS.append(SweepRun(str(config.hydra.job.num), overrides, value, config.metric.name, mode))


def print_comparison() -> None:
    """Prints the runs of a sweep on standard error, the best first; nothing where there was no sweep."""
    if not RUNS:
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    sign = -1 if RUNS[0].mode == "max" else 1
    table = Table("run", RUNS[0].metric, "with", title="Runs of the sweep, best first", title_justify="left")
    for run in sorted(RUNS, key=lambda run: float("inf") if run.value is None else sign * run.value):
        table.add_row(run.number, "failed" if run.value is None else f"{run.value:.4f}", Text(run.overrides))
    Console(stderr=True).print(table)
