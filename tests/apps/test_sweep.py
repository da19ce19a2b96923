from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, open_dict

from askagain.apps.sweep import group_in_wandb

CONFIGS = Path(__file__).resolve().parents[2] / "configs"


@pytest.fixture
def grouped():
    """Gives the W&B settings of a run, typed with some words, after it was put into its group."""

    def make(mode: str, *words: str) -> DictConfig:
        of_hydra = (f"hydra.mode={mode}", "hydra.job.num=7", "hydra.sweep.dir=runs/sweeps/today")
        with initialize_config_dir(str(CONFIGS), version_base="1.3"):
            cfg = compose("train", [*words, *of_hydra], return_hydra_config=True)
        HydraConfig.instance().set_config(cfg)
        with open_dict(cfg):
            del cfg["hydra"]
        group_in_wandb(cfg)
        return cfg.logger.get("wandb")

    yield make
    HydraConfig.instance().cfg = None


def test_a_run_of_a_sweep_gets_the_name_of_the_sweeps_folder_and_its_number(grouped):
    logger = grouped("MULTIRUN", "logger=wandb")
    assert (logger.group, logger.name) == ("today", "dssm_7")


def test_a_group_that_the_user_names_stays(grouped, monkeypatch):
    assert grouped("MULTIRUN", "logger=wandb", "logger.wandb.group=mine").group == "mine"
    monkeypatch.setenv("WANDB_RUN_GROUP", "of the environment")
    assert grouped("MULTIRUN", "logger=wandb").group is None


def test_a_run_alone_stays_as_it_is_and_so_does_one_without_wandb(grouped):
    logger = grouped("RUN", "logger=wandb")
    assert (logger.group, logger.name) == (None, "dssm")
    assert grouped("MULTIRUN", "logger=csv") is None
    assert grouped("MULTIRUN", "logger=none") is None
