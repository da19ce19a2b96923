"""Sweeps: compares their runs at the end, groups them in W&B, and says what their launchers ask for."""

import json
import logging
import math
import os
import re
import shlex
import sys
import warnings
from collections.abc import Sequence, Set
from pathlib import Path
from typing import Any, NamedTuple

from hydra.core.hydra_config import HydraConfig
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from askagain.files.checksums import DamagedError, check_files

log = logging.getLogger(__name__)

METRICS = "metrics.json"  # in the folder of a run that has succeeded
LONG_NUMBER = re.compile(r"(?<![\w.])-?\d+\.\d{4,}(e[+-]?\d+)?")  # as a search draws them
WANDB_GROUP = "WANDB_RUN_GROUP"  # W&B reads the group from it

# Our configs of launchers have the names of those in their packages, so that hydra/launcher=NAME chooses ours. Hydra
# still validates them with the packages' schemas and warns about it.
warnings.filterwarnings("ignore", r"\s*'hydra/launcher/\w+' is validated against ConfigStore schema")


def _gpus(accelerator: str, devices: int) -> int | None:
    """`${gpus:ACCELERATOR,DEVICES}` in configs: the number of GPUs to request from a cluster."""
    return None if accelerator == "cpu" else devices


OmegaConf.register_new_resolver("gpus", _gpus, replace=True)


class SweepRun(NamedTuple):
    """A run of a sweep: its folder, its overrides, and the value of the metric (None: it failed)."""

    folder: Path
    overrides: list[str]
    value: float | None
    metric: str
    mode: str


class NoteSweep(Callback):
    """Records the folder of this process's sweep, and the runs of an earlier one in it."""

    folder: Path | None = None
    earlier: Set[tuple[Path, int]] = frozenset()

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Called by Hydra before the first run of a sweep."""
        NoteSweep.folder = Path(config.hydra.sweep.dir)
        NoteSweep.earlier = frozenset(_begun_runs(NoteSweep.folder))

    @classmethod
    def runs(cls) -> list[SweepRun]:
        """The runs of this sweep; none without a sweep."""
        return [] if cls.folder is None else sweep_runs(cls.folder, cls.earlier)


def _begun_runs(folder: Path) -> set[tuple[Path, int]]:
    """The folder of each run in a sweep's folder, and when the run has begun, in nanoseconds."""
    return {(path.parent.parent, path.stat().st_mtime_ns) for path in folder.glob("*/.hydra/overrides.yaml")}


def sweep_runs(folder: Path, earlier: Set[tuple[Path, int]]) -> list[SweepRun]:
    """The runs in a sweep's folder, without those of an earlier sweep."""
    runs = []
    folders = [run for run, _ in _begun_runs(folder) - earlier]
    for run in sorted(folders, key=lambda run: (len(run.name), run.name)):  # 10 after 9
        try:
            runs.append(_run(run))
        except Exception as error:  # YAML that was damaged can raise nearly anything
            log.warning("%s: left out, its config cannot be read (%s)", run, type(error).__name__)
    return runs


def _run(folder: Path) -> SweepRun:
    config: Any = OmegaConf.load(folder / ".hydra" / "config.yaml")
    overrides = [str(override) for override in OmegaConf.load(folder / ".hydra" / "overrides.yaml")]
    metric = config.get("optimized_metric", config.metric.name)
    value = None
    try:
        value = read_metrics(folder).get(metric)
    except DamagedError as error:
        log.warning("%s: not counted: %s", folder, error)
    except OSError:
        pass  # it has not succeeded
    if not isinstance(value, int | float) or math.isnan(value):
        value = None
    return SweepRun(folder, overrides, value, metric, config.metric.mode)


def read_metrics(folder: Path) -> dict[str, Any]:
    """The metrics in a run folder, and the words beside these numbers, see `askagain.apps.report.keep_metrics`.

    Raises DamagedError for a damaged file, and OSError where there is none.
    """
    content = (folder / METRICS).read_bytes()
    check_files(folder, [METRICS])
    try:
        metrics: dict[str, Any] = json.loads(content)
    except (ValueError, RecursionError):
        metrics = {}
    if not isinstance(metrics, dict) or not metrics:
        raise DamagedError(f"{METRICS} holds no figures")
    return metrics


def report_sweep() -> None:
    """Prints the runs of a sweep on stderr, best first, and writes them to its folder; nothing without a sweep."""
    folder, runs = NoteSweep.folder, NoteSweep.runs()
    if not runs or folder is None:
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from askagain.files.markdown import markdown
    from askagain.files.writing import write_text

    sign = -1 if runs[0].mode == "max" else 1
    runs.sort(key=lambda run: float("inf") if run.value is None else sign * run.value)
    shared = set.intersection(*(set(run.overrides) for run in runs)) if len(runs) > 1 else set()
    headings = ["run", runs[0].metric, "with"]
    rows = [[run.folder.name, _number(run.value), _swept(run.overrides, shared)] for run in runs]
    table = Table(*headings, title="Runs of the sweep, best first", title_justify="left")
    for row in rows:
        table.add_row(*map(Text, row))
    best, failed = runs[0], [run.folder.name for run in runs if run.value is None]
    lines = [] if best.value is None else [f"best: {best.folder}", f"again: {_command(best)}"]
    if failed:
        lines.append(f"failed: {', '.join(failed)} of {len(runs)} runs; see the logs in {folder}")
    path = folder / "comparison.md"
    write_text(path, [markdown(headings, rows), *(f"\n{line}\n" for line in lines)])
    Console(stderr=True).print(table)
    for line in [*lines, f"table: {path}"]:
        print(line, file=sys.stderr)


def _number(value: float | None) -> str:
    return "failed" if value is None else f"{value:.4f}"


def _swept(overrides: Sequence[str], shared: Set[str]) -> str:
    """The overrides that not all runs share, their numbers shortened to four digits."""
    own = (override for override in overrides if override not in shared)
    return " ".join(LONG_NUMBER.sub(lambda match: f"{float(match[0]):.4g}", override) for override in own)


def _command(run: SweepRun) -> str:
    """The command that repeats a run."""
    return shlex.join(["python", Path(sys.argv[0]).name, *run.overrides])


def group_in_wandb(cfg: DictConfig) -> None:
    """Groups the runs of a sweep in W&B: the group is the sweep's folder unless the user sets one.

    The number of the run is added to its name. A run outside a sweep is left alone.
    """
    hydra, logger = HydraConfig.get(), cfg.get("logger") and cfg.logger.get("wandb")
    if not logger or hydra.mode != RunMode.MULTIRUN:
        return
    if logger.get("group") is None and not os.environ.get(WANDB_GROUP):
        OmegaConf.update(logger, "group", Path(hydra.sweep.dir).name, force_add=True)
    OmegaConf.update(logger, "name", f"{logger.get('name') or cfg.name}_{hydra.job.num}", force_add=True)
