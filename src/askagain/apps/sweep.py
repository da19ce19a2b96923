"""What a sweep needs beside its runs: how they compare when the last one is done, wherever they have run, their group
in W&B, and what its launchers ask for.
"""

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

METRICS = "metrics.json"  # in a run's folder, where the run did not fail
WANDB_GROUP = "WANDB_RUN_GROUP"  # W&B's own name for a group that is set in the environment

# Our configs of launchers have the names of their packages' own, so that hydra/launcher=NAME chooses ours. They are
# whole without the schema that Hydra still matches by name.
warnings.filterwarnings("ignore", r"\s*'hydra/launcher/\w+' is validated against ConfigStore schema")


def _gpus(accelerator: str, devices: int) -> int | None:
    """`${gpus:ACCELERATOR,DEVICES}` in configs: how many GPUs to ask a cluster for."""
    return None if accelerator == "cpu" else devices


OmegaConf.register_new_resolver("gpus", _gpus, replace=True)


class SweepRun(NamedTuple):
    """A run: its number, what it was given, and the metric it is compared by (None: it failed)."""

    number: str
    overrides: list[str]
    value: float | None
    metric: str
    mode: str


class NoteSweep(Callback):
    """Notes which folder this process's sweep writes to."""

    folder: Path | None = None

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Called by Hydra before the first run of a sweep."""
        NoteSweep.folder = Path(config.hydra.sweep.dir)


def sweep_runs(folder: Path) -> list[SweepRun]:
    """The runs whose folders are in a sweep's folder."""
    runs = [path.parent.parent for path in folder.glob("*/.hydra/overrides.yaml")]
    return [_run(run) for run in sorted(runs, key=lambda run: (len(run.name), run.name))]  # 10 after 9


def _run(folder: Path) -> SweepRun:
    metric = OmegaConf.load(folder / ".hydra" / "config.yaml").metric
    overrides = [str(word) for word in OmegaConf.load(folder / ".hydra" / "overrides.yaml")]
    try:
        value = json.loads((folder / METRICS).read_text(encoding="utf-8")).get(metric.name)
    except (OSError, json.JSONDecodeError):
        value = None
    if value is not None and math.isnan(value):
        value = None
    return SweepRun(folder.name, overrides, value, metric.name, metric.mode)


def print_comparison() -> None:
    """Prints the runs of a sweep on standard error, the best first; nothing where there was no sweep."""
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
        its_own = " ".join(word for word in run.overrides if word not in shared)
        table.add_row(run.number, "failed" if run.value is None else f"{run.value:.4f}", Text(its_own))
    Console(stderr=True).print(table)
    failed = [run.number for run in runs if run.value is None]
    if failed:
        why = f"the log in its folder of {NoteSweep.folder} says why"
        print(f"failed: {', '.join(failed)} of {len(runs)} runs; {why}", file=sys.stderr)


def group_in_wandb(cfg: DictConfig) -> None:
    """In a sweep, names the run's group in W&B after the sweep's folder, where the user has named none, and ends the
    run's name in its number. Alone, a run stays as it is.
    """
    hydra, logger = HydraConfig.get(), cfg.get("logger") and cfg.logger.get("wandb")
    if not logger or hydra.mode != RunMode.MULTIRUN:
        return
    if logger.get("group") is None and not os.environ.get(WANDB_GROUP):
        OmegaConf.update(logger, "group", Path(hydra.sweep.dir).name, force_add=True)
    OmegaConf.update(logger, "name", f"{logger.get('name') or cfg.name}_{hydra.job.num}", force_add=True)
