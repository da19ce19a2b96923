"""`askagain.train` and `askagain.evaluate`: the two commands as functions, for notebooks and scripts."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf, open_dict

import askagain
from askagain.apps.checks import check_before_run
from askagain.apps.command import heavy_imports
from askagain.apps.command_line import CONFIGS, for_hydra, read_env_file
from askagain.apps.run_folder import forget_metrics, take_folder
from askagain.apps.sweep import METRICS, read_metrics
from askagain.errors import InputError
from askagain.files.checksums import DamagedError
from askagain.models.bag_encoder import BagEncoder


@dataclass(frozen=True)
class Run:
    """A finished run: `folder` holds what the command would have left there."""

    folder: Path

    @cached_property
    def metrics(self) -> dict[str, Any]:
        """What was measured, numbers by name, and a few words such as the name of the `preprocessor`.

        Raises InputError where the file is missing or damaged.
        """
        try:
            return read_metrics(self.folder)
        except (OSError, DamagedError) as error:
            raise InputError(f"{self.folder}: {METRICS} cannot be read ({error})") from error

    @cached_property
    def encoder(self) -> BagEncoder:
        """The encoder that training kept; raises InputError for a run that trained none."""
        return askagain.load(self.folder)


def train(experiment: str = "dssm", overrides: Sequence[str] = ()) -> Run:
    """Trains as `python train.py experiment=EXPERIMENT OVERRIDES...` does.

    Raises InputError for a mistake in the overrides or in the data, and hydra.errors.HydraException for an override
    that the config has no place for.
    """
    cfg = _compose_run("train", [f"experiment={experiment}", *overrides])
    with heavy_imports(for_training=True):
        from askagain.apps.train import train as train_run
    train_run(cfg)
    return Run(Path(cfg.paths.run_dir))


def evaluate(encoder: str | Path | None = None, overrides: Sequence[str] = ()) -> Run:
    """Ranks as `python evaluate.py encoder.path=ENCODER OVERRIDES...` does, and raises what `train` does.

    `encoder`: a run folder, an encoder folder, a checkpoint or a name; None where the overrides choose another ranker.
    """
    path = [] if encoder is None else [f"encoder.path={quoted(encoder)}"]
    cfg = _compose_run("evaluate", [*path, *overrides])
    with heavy_imports():
        from askagain.apps.evaluate import evaluate as evaluate_run
    evaluate_run(cfg)
    return Run(Path(cfg.paths.run_dir))


def _compose_run(config_name: str, overrides: Sequence[str]) -> DictConfig:
    """The config of a run with a folder of its own, set up as `hydra.main` would have done it."""
    if not CONFIGS.is_dir():
        raise InputError(f"{CONFIGS}: no such folder; install askagain with `pip install -e .` in a clone of it")
    read_env_file()
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        cfg = compose(config_name, overrides=for_hydra(overrides), return_hydra_config=True)
    check_before_run(cfg)
    take_folder(cfg, "run")
    folder = Path(cfg.hydra.run.dir).absolute()
    with open_dict(cfg):
        cfg.hydra.runtime.output_dir = str(folder)
    HydraConfig.instance().set_config(cfg)
    forget_metrics(cfg)
    hydra = cfg.hydra
    with open_dict(cfg):
        del cfg["hydra"]
    notes = folder / ".hydra"
    notes.mkdir(parents=True, exist_ok=True)
    for name, content in (("config", cfg), ("hydra", {"hydra": hydra}), ("overrides", hydra.overrides.task)):
        OmegaConf.save(OmegaConf.create(content), notes / f"{name}.yaml")
    return cfg


def quoted(path: str | Path) -> str:
    """A path as the value of an override, whatever characters it has."""
    escaped = str(path).replace("'", "\\'")
    return f"'{escaped}'"
