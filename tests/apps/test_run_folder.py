"""Each run has its folder to itself, and no figures of an earlier run in it."""

import os
import re
from pathlib import Path

import pytest
from filelock import FileLock
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

import askagain.apps.command  # noqa: F401  what a command knows before it reads its configs
from askagain.apps.report import write_metrics
from askagain.apps.run_folder import LOCK, take_folder
from askagain.errors import InputError
from tests.conftest import ROOT
from tests.end_to_end.conftest import QUICK, refused


def config(command: str, *words: str):
    with initialize_config_dir(str(ROOT / "configs"), version_base="1.3"):
        return compose(command, list(words), return_hydra_config=True)


@pytest.mark.parametrize("mode", ["run", "sweep"])
def test_runs_that_start_in_the_same_second_have_a_folder_each(tmp_path, mode):
    cfg = config("train", f"paths.runs_dir={tmp_path}", "name=exp/a")
    taken = Path(cfg.hydra[mode].dir)
    taken.mkdir(parents=True)
    take_folder(cfg, mode)
    own = Path(cfg.hydra[mode].dir)
    assert own != taken and (mode == "sweep" or own.match("*_exp/a"))
    assert (own / LOCK).is_file() and not (taken / LOCK).exists()


def test_a_folder_is_refused_as_long_as_another_run_writes_to_it(tmp_path):
    cfg = config("train", f"hydra.run.dir={tmp_path}")
    with (
        FileLock(tmp_path / LOCK),
        pytest.raises(InputError, match=re.escape(f"hydra.run.dir={tmp_path}: another run")),
    ):
        take_folder(cfg, "run")
    child = os.fork()
    if child == 0:
        try:
            take_folder(cfg, "run")
            os._exit(0)  # as a process that was killed leaves it
        finally:
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
    for _ in range(2):  # one after the other in a process, as in a notebook
        take_folder(cfg, "run")


def test_a_folder_that_cannot_be_taken_is_named(tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "run" / "encoder").mkdir(parents=True)
    (tmp_path / "run" / "encoder" / "encoder.json").touch()
    for command, folder, message in (
        ("train", "file", "file: a file is in its place; name another folder"),
        ("train", "file/run", "file/run: a file is in its place"),
        ("evaluate", "run", "run: the folder of a training, whose figures would be lost"),
    ):
        with pytest.raises(InputError, match=f"hydra.run.dir={tmp_path}/{message}"):
            take_folder(config(command, f"hydra.run.dir={tmp_path / folder}"), "run")
    with pytest.raises(InputError, match=r"hydra\.run\.dir=: must not be empty"):
        take_folder(config("train", "hydra.run.dir="), "run")


def earlier_run(folder: Path) -> None:
    """Leaves what a run that has succeeded leaves in its folder."""
    (folder / ".hydra").mkdir(parents=True)
    config_of_it = {"optimized_metric": "val/mrr", "metric": {"name": "val/mrr", "mode": "max"}}
    OmegaConf.save(config_of_it, folder / ".hydra" / "config.yaml")
    OmegaConf.save(["model.dim=8"], folder / ".hydra" / "overrides.yaml")
    write_metrics(folder, {"val/mrr": 0.9}, {})


def test_a_sweep_counts_no_run_of_an_earlier_sweep_in_its_folder(command, tmp_path):
    for run in ("0", "2"):
        earlier_run(tmp_path / run)
    result = command("train.py", "-m", "model.dim=0,none", f"hydra.sweep.dir={tmp_path}")
    assert result.returncode == 2 and "failed: 0, 1 of 2 runs" in result.stderr and "best:" not in result.stderr
    assert not (tmp_path / "0" / "metrics.json").exists() and (tmp_path / "2" / "metrics.json").exists()


def test_a_run_whose_data_are_refused_keeps_no_figures_of_an_earlier_run(command, tmp_path):
    earlier_run(tmp_path / "run")
    for name in ("train.tsv", "validation.tsv"):
        (tmp_path / name).write_text("alone\n")
    words = ("data=tsv", f"data.dir={tmp_path}", *QUICK, f"hydra.run.dir={tmp_path / 'run'}")
    assert "1 column, at least" in refused(command("train.py", *words))
    assert not (tmp_path / "run" / "metrics.json").exists()
