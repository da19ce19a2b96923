"""Sweeps: compares their runs at the end, groups them in W&B, and says what their launchers ask for."""

import json
import math
import os
import sys
import warnings
from pathlib import Path
from typing import Any, NamedTuple

from hydra.core.hydra_config import HydraConfig
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

METRICS = "metrics.json"  # in the folder of a run that has succeeded
WANDB_GROUP = "WANDB_RUN_GROUP"  # W&B reads the group from it

# Our configs of launchers have the names of those in their packages, so that hydra/launcher=NAME chooses ours. Hydra
# still validates them with the packages' schemas and warns about it.
warnings.filterwarnings("ignore", r"\s*'hydra/launcher/\w+' is validated against ConfigStore schema")


def _gpus(accelerator: str, devices: int) -> int | None:
    """`${gpus:ACCELERATOR,DEVICES}` in configs: the number of GPUs to request from a cluster."""
    return None if accelerator == "cpu" else devices


OmegaConf.register_new_resolver("gpus", _gpus, replace=True)


class SweepRun(NamedTuple):
    """A run of a sweep: its number, its overrides, and the value of the metric (None: it failed)."""

    number: str
    overrides: list[str]
    value: float | None
    metric: str
    mode: str


class NoteSweep(Callback):
    """Records the folder of this process's sweep."""

    folder: Path | None = None

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Called by Hydra before the first run of a sweep."""
        NoteSweep.folder = Path(config.hydra.sweep.dir)


def sweep_runs(folder: Path) -> list[SweepRun]:
    """The runs in a sweep's folder."""
    runs = [path.parent.parent for path in folder.glob("*/.hydra/overrides.yaml")]
    return [_run(run) for run in sorted(runs, key=lambda run: (len(run.name), run.name))]  # 10 after 9


def _run(folder: Path) -> SweepRun:
    metric = OmegaConf.load(folder / ".hydra" / "config.yaml").metric
    overrides = [str(override) for override in OmegaConf.load(folder / ".hydra" / "overrides.yaml")]
    try:
        value = json.loads((folder / METRICS).read_text(encoding="utf-8")).get(metric.name)
    except (OSError, json.JSONDecodeError):
        value = None
    if value is not None and math.isnan(value):
        value = None
    return SweepRun(folder.name, overrides, value, metric.name, metric.mode)


def print_comparison() -> None:
    """Prints the runs of a sweep on stderr, best first; nothing without a sweep."""
    runs = sweep_runs(NoteSweep.folder) if NoteSweep.folder else []
    if not runs:
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    sign = -1 if runs[0].mode == "max" else 1
    shared = set.intersection(*(set(run.overrides) for run in runs)) if len(runs) > 1 else set()
    table = Table("run", runs[0].metric, "with", title="Runs of the sweep, best first", title_justify="left")
    for run in sorted(runs, key=lambda run: float("inf") if run.value is None else sign * run.value):
        own = " ".join(override for override in run.overrides if override not in shared)
        table.add_row(run.number, "failed" if run.value is None else f"{run.value:.4f}", Text(own))
    Console(stderr=True).print(table)
    failed = [run.number for run in runs if run.value is None]
    if failed:
        print(f"failed: {', '.join(failed)} of {len(runs)} runs; see the logs in {NoteSweep.folder}", file=sys.stderr)


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
