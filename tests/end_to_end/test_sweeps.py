"""Sweeps as a user types them: several devices a run, a search, runs side by side and on a cluster."""

import json
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import joblib
import pytest
import yaml
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

import askagain.apps.command  # noqa: F401  what a command knows before it reads its configs
from tests.conftest import ROOT
from tests.end_to_end.conftest import QUICK, metrics_of, refused
from tests.end_to_end.slurm_stand_in import options_of, write_commands

pytestmark = [pytest.mark.new_process, pytest.mark.slow]
NOTE = ("+callbacks.note._target_=tests.end_to_end.note_rank.NoteRank", "+callbacks.note.folder=${paths.run_dir}")
LAUNCHERS = ("joblib", "submitit_local", "submitit_slurm", "ray")
VERBOSE = "hydra.verbose=[askagain.corpus.cache]"  # logs what is written to the cache


@pytest.fixture
def words(small) -> tuple[str, ...]:
    """Trains the DSSM on the small corpus for an epoch, each rank noting what it trains with."""
    epoch = ("trainer.max_epochs=1", "trainer.accelerator=cpu", "logger=csv")
    return ("-m", "experiment=dssm", "data=tsv", f"data.dir={small}", *epoch, *NOTE)


def runs_of(tmp_path: Path) -> list[Path]:
    """The run folders of the only sweep, in order of their numbers."""
    (sweep,) = (tmp_path / "runs" / "sweeps").iterdir()
    return sorted(path for path in sweep.iterdir() if path.is_dir() and not path.name.startswith("."))


def given_to(run: Path) -> dict[str, str]:
    """What the sweep gave to a run."""
    return dict(word.split("=", 1) for word in yaml.safe_load((run / ".hydra" / "overrides.yaml").read_text()))


def noted_by(run: Path) -> list[dict]:
    """What each rank of a run noted, in order of ranks."""
    return [json.loads(path.read_text()) for path in sorted(run.glob("rank-*.json"))]


def written_to_the_cache(runs: list[Path]) -> Iterator[str]:
    """The entries that runs say they wrote, once for each time."""
    for run in runs:
        for line in (run / "train.log").read_text().splitlines():
            if "written to the cache, " in line:
                yield line.split("written to the cache, ")[1]


def test_every_rank_trains_a_trials_own_values_and_a_trial_that_crashes_does_not_end_the_search(
    command, words, tmp_path
):
    search = ("hparams_search=dssm_optuna", "hydra.sweeper.n_trials=3", "trainer.devices=2")
    result = command("train.py", *words, *search, "+callbacks.note.failing=0/1")  # run 0, rank 1
    assert result.returncode == 0, result.stderr
    runs = runs_of(tmp_path)
    assert [run.name for run in runs] == ["0", "1", "2"]
    for run in runs:
        given = given_to(run)
        ranks = noted_by(run)
        assert len(ranks) == 2 and ranks[0]["pid"] != ranks[1]["pid"]
        for rank in ranks:
            assert rank["world_size"] == 2
            assert rank["temperature"] == float(given["loss.temperature"])
            assert rank["lr"] == float(given["optimizer.lr"])
            assert rank["batch_size"] == int(given["data.batch_size"])
            assert rank["dim"] == int(given["model.dim"])
    assert len({given_to(run)["loss.temperature"] for run in runs}) == 3

    assert [(run / "metrics.json").is_file() for run in runs] == [False, True, True]
    assert "rank 1 of 2 failed: ArithmeticError" in (runs[0] / "train.log").read_text()
    best = max(runs[1:], key=lambda run: metrics_of(run)["val/mrr"])
    found = yaml.safe_load((runs[0].parent / "optimization_results.yaml").read_text())
    assert found["best_value"] == metrics_of(best)["val/mrr"]
    assert {name: str(value) for name, value in found["best_params"].items()}.items() <= given_to(best).items()

    table = result.stderr[result.stderr.index("Runs of the sweep, best first") :]
    rows = [line.split("│") for line in table.splitlines() if line.startswith("│") and line.split("│")[1].strip()]
    assert [row[1].strip() for row in rows][0::2] == [best.name, "0"] and rows[-1][2].strip() == "failed"
    assert "failed: 0 of 3 runs" in table
    assert result.stderr.count("Traceback") == 1 and "raise ArithmeticError" in result.stderr  # of that rank


@pytest.mark.filterwarnings("ignore:\\s*'hydra/")
@pytest.mark.parametrize("search", ["dssm_optuna", "dssm_grid", "distill_optuna"])
def test_every_setting_that_a_search_varies_is_one_that_its_experiment_has(search):
    with initialize_config_dir(str(ROOT / "configs"), version_base="1.3"):
        words = [f"hparams_search={search}", f"experiment={search.split('_')[0]}"]
        cfg = compose("train", words, return_hydra_config=True)
    varied = dict(cfg.hydra.sweeper.params)
    assert len(varied) >= 4
    assert not [name for name in varied if not isinstance(OmegaConf.select(cfg, name), int | float | str)]


def test_a_grid_has_every_combination_and_what_is_typed_takes_the_place_of_what_it_varies(command, words, tmp_path):
    one = ("model.dim=16", "loss.temperature=0.1", "optimizer.lr=0.03,0.1", "data.batch_size=64")
    result = command("train.py", *words, "hparams_search=dssm_grid", *one)
    assert result.returncode == 0, result.stderr
    ranks = [rank for run in runs_of(tmp_path) for rank in noted_by(run)]
    found = [(rank["dim"], rank["temperature"], rank["lr"], rank["batch_size"]) for rank in ranks]
    assert found == [(16, 0.1, 0.03, 64), (16, 0.1, 0.1, 64)]


def test_a_search_in_which_no_trial_succeeds_says_so_in_one_line(command, words, tmp_path):
    search = ("hparams_search=dssm_optuna", "hydra.sweeper.n_trials=1")
    result = command("train.py", *words, *search, "loss.temperature=choice(0,-1)")
    assert result.returncode == 1 and "Traceback" not in result.stderr, result.stderr
    assert result.stderr.splitlines()[-1].startswith("error: no run of the sweep succeeded")
    assert not (runs_of(tmp_path)[0].parent / "optimization_results.yaml").exists()
    (run,) = runs_of(tmp_path)
    temperature = given_to(run)["loss.temperature"]
    assert f"loss.temperature={temperature}: must be at least" in (run / "train.log").read_text()


def test_joblib_divides_threads_builds_each_cache_entry_once_and_a_crash_is_shown_once(command, words, tmp_path):
    cache = tmp_path / "cache"
    side_by_side = (
        "hydra/launcher=joblib",
        f"paths.cache_dir={cache}",
        "seed=0,1",
        "+callbacks.note.failing=1/0",
        VERBOSE,
    )
    result = command("train.py", *words, *QUICK, *side_by_side)
    runs = runs_of(tmp_path)
    notes = [rank for run in runs for rank in noted_by(run)]
    assert len({note["pid"] for note in notes}) == 2  # each run in a process of its own
    assert {note["threads"] for note in notes} == {max(1, joblib.cpu_count() // 2)}

    entries = {str(path) for path in cache.iterdir() if path.is_dir()}
    assert Counter(written_to_the_cache(runs)) == Counter(entries)

    assert result.returncode == 1 and [(run / "metrics.json").is_file() for run in runs] == [True, False]
    assert result.stderr.count("Traceback") == (runs[1] / "train.log").read_text().count("Traceback") == 1
    assert "failed: 1 of 2 runs" in result.stderr
    assert result.stderr.splitlines()[-1] == "error: ArithmeticError: a crash, as this test wants it"
    assert "ConfigStore" not in result.stderr


def test_submitit_gives_a_run_its_threads_which_its_ranks_divide_under_every_name_of_ddp(command, words, tmp_path):
    local = ("hydra/launcher=submitit_local", "hydra.launcher.cpus_per_task=4")
    result = command("train.py", *words, *QUICK, *local, "trainer.devices=2", "trainer.strategy=ddp_spawn,ddp_fork")
    assert result.returncode == 0, result.stderr
    runs = runs_of(tmp_path)
    assert [given_to(run)["trainer.strategy"] for run in runs] == ["ddp_spawn", "ddp_fork"]
    for run in runs:
        trained = [(rank["dim"], rank["batch_size"], rank["world_size"], rank["threads"]) for rank in noted_by(run)]
        assert trained == [(16, 64, 2, 2)] * 2
    assert metrics_of(runs[0])["val/loss"] == pytest.approx(metrics_of(runs[1])["val/loss"])
    compared = result.stderr[result.stderr.index("Runs of the sweep, best first") :]
    assert compared.count(f"{metrics_of(runs[0])['val/mrr']:.4f}") == 2 and "trainer.strategy=ddp_fork" in compared


def test_runs_side_by_side_each_have_two_devices(command, words, tmp_path):
    side_by_side = ("hydra/launcher=joblib", "trainer.devices=2", "seed=0,1")
    result = command("train.py", *words, *QUICK, *side_by_side, HOME=str(tmp_path))
    assert result.returncode == 0, result.stderr
    pids = set()
    for run in runs_of(tmp_path):
        assert (run / "metrics.json").is_file()
        assert [rank["world_size"] for rank in noted_by(run)] == [2, 2]
        pids |= {rank["pid"] for rank in noted_by(run)}
    assert len(pids) == 4


def test_a_sweep_goes_through_slurm_on_two_nodes(command, words, tmp_path):
    write_commands(tmp_path / "bin")
    slurm = ("hydra/launcher=submitit_slurm", "hydra.launcher.cpus_per_task=3", "trainer.num_nodes=2", "seed=1")
    path = f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"
    result = command("train.py", *words, *QUICK, *slurm, PATH=path)
    assert result.returncode == 0, result.stderr
    (run,) = runs_of(tmp_path)
    assert [(rank["world_size"], rank["dim"], rank["threads"]) for rank in noted_by(run)] == [(2, 16, 3)] * 2
    assert f"{metrics_of(run)['val/mrr']:.4f}" in result.stderr
    (script,) = run.parent.glob(".submitit/*/*_submission.sh")
    options = options_of(script)
    assert (options["nodes"], options["ntasks-per-node"], options["cpus-per-task"]) == ("2", "1", "3")
    assert options["job-name"] == "dssm" and "gpus-per-node" not in options


@pytest.mark.filterwarnings("ignore:\\s*'hydra/launcher")
@pytest.mark.parametrize(("accelerator", "gpus"), [("gpu", 4), ("auto", 4), ("cpu", None)])
def test_slurm_is_asked_for_a_task_and_a_gpu_for_each_device(accelerator, gpus):
    given = ["trainer.devices=4", "trainer.num_nodes=2", f"trainer.accelerator={accelerator}"]
    with initialize_config_dir(str(ROOT / "configs"), version_base="1.3"):
        cfg = compose("train", [*given, "hydra/launcher=submitit_slurm"], return_hydra_config=True)
    launcher = cfg.hydra.launcher
    assert (launcher.nodes, launcher.tasks_per_node, launcher.gpus_per_node) == (2, 4, gpus)


def test_ray_runs_side_by_side_with_their_threads_and_the_same_folders(command, words, tmp_path):
    ray = ("hydra/launcher=ray", "seed=0,1", "paths.cache_dir=cache", VERBOSE)
    home = {"HOME": str(tmp_path)}  # Ray leaves a token there
    result = command("train.py", *words, *QUICK, *ray, cwd=tmp_path, **home)
    assert result.returncode == 0, result.stderr
    runs = runs_of(tmp_path)
    notes = [rank for run in runs for rank in noted_by(run)]
    assert [note["threads"] for note in notes] == [1, 1]
    entries = {f"cache/{path.name}" for path in (tmp_path / "cache").iterdir() if path.is_dir()}
    assert Counter(written_to_the_cache(runs)) == Counter(entries)
    for run in runs:
        assert f"{metrics_of(run)['val/mrr']:.4f}" in result.stderr


@pytest.mark.parametrize("choice", [*(f"hydra/launcher={name}" for name in LAUNCHERS), "hparams_search=dssm_optuna"])
def test_a_launcher_or_sweeper_that_is_not_installed_is_answered_by_how_to_install_it(command, tmp_path, choice):
    hidden = tmp_path / "hydra_plugins"  # Hydra's plugins are what is in packages of this name
    hidden.mkdir()
    (hidden / "__init__.py").touch()
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    assert "pip install -r requirements-sweeps.txt" in refused(command("train.py", "-m", choice, PYTHONPATH=path))
