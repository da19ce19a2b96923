"""train.py on several devices and nodes, stopped, killed and resumed. Here a device is a process of a core's."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from tests.end_to_end.conftest import column, metrics_of, refused, succeeded

pytestmark = [pytest.mark.new_process, pytest.mark.slow]
ROOT = Path(__file__).resolve().parents[2]
SETTINGS = ("experiment=dssm", "model.dim=16", "trainer.accelerator=cpu", "logger=csv", "trainer.log_every_n_steps=1")
NOTE = ("+callbacks.note._target_=tests.end_to_end.note_rank.NoteRank", "+callbacks.note.folder=${paths.run_dir}")
ENDLESS = "trainer.max_epochs=100000"
A_MINUTE = 60


@pytest.fixture
def words(small) -> tuple[str, ...]:
    return (*SETTINGS, "data=tsv", f"data.dir={small}")


def restore_interrupt() -> None:
    """As in a terminal: whatever started the tests in its background has Ctrl-C ignored."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@contextmanager
def started(words: tuple[str, ...], cache: Path, log: Path) -> Iterator[subprocess.Popen]:
    """`python train.py WORDS...`, what it prints going to `log`; ended at last."""
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "train.py", *words],
            cwd=ROOT,
            env=os.environ | {"ASKAGAIN_CACHE": str(cache)},
            stdout=output,
            stderr=output,
            preexec_fn=restore_interrupt,
        )
        try:
            yield process
        finally:
            process.kill()
            process.wait()


def wait_for(what, process: subprocess.Popen | None = None, seconds: float = A_MINUTE) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "waited in vain"
        assert process is None or process.poll() is None, "ended too early"
        time.sleep(0.05)


def alive(pid: int) -> bool:
    status = Path(f"/proc/{pid}/stat")
    try:
        return status.read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def noted(run: Path, rank: int) -> dict:
    return json.loads((run / f"rank-{rank}.json").read_text())


def rank_pids(run: Path) -> list[int]:
    return [noted(run, rank)["pid"] for rank in (0, 1)]


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def weights(run: Path) -> torch.Tensor:
    return torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]["trainable.bag.weight"]


def printed(run: Path, name: str) -> list[str]:
    return [f"{value:.4f}" for value in column(run, name)]


# All that the loss and its batches can have beside pairs; hard negatives are sought by all devices together.
ADDITIONS = (
    "callbacks.hard_negatives.per_text=2",
    "loss=matryoshka",
    "loss.dims=[8]",
    "loss.loss.learn_temperature=true",
    "loss.loss.label_smoothing=0.1",
    "model.feature_weights=learned",
)


def test_two_devices_leave_one_run_and_print_what_one_device_does(command, words, tmp_path):
    words += ("trainer.max_epochs=6", *ADDITIONS)
    one_logger = [word for word in words if not word.startswith("logger=")]
    devices = ("trainer.devices=2", "data.batch_size=32", "logger=many", "name=two")
    result = command("train.py", *one_logger, *NOTE, *devices)
    two = succeeded(result)
    assert result.stdout.count("metrics: ") == result.stdout.count("data: ") == 1
    assert [path.name for path in (tmp_path / "runs").iterdir()] == [two.name]
    assert len(list(two.glob("wandb/offline-run-*"))) == 1
    assert len(list(two.rglob("*.log"))) - len(list(two.glob("wandb/**/*.log"))) == 1
    one = succeeded(command("train.py", *words, "trainer.devices=1", "data.batch_size=64", "name=one"))
    torch.testing.assert_close(weights(two), weights(one), rtol=0, atol=1e-5)
    assert len(column(one, "train/loss")) >= 50
    for name in ("train/loss", "train/loss_epoch", "val/loss", "val/mrr", "val/hits@1", "val/hits@10"):
        assert printed(two, name) == printed(one, name)
    figures = {name: value for name, value in metrics_of(one).items() if not name.endswith(("seconds", "per_second"))}
    assert {name: f"{metrics_of(two)[name]:.4f}" for name in figures} == {n: f"{v:.4f}" for n, v in figures.items()}
    assert noted(two, 1)["world_size"] == 2 and not alive(noted(two, 1)["pid"])


@pytest.mark.parametrize("rank", [0, 1])
def test_a_rank_that_dies_ends_all_with_a_line_that_names_it(words, tmp_path, cache_folder, rank):
    run, log = tmp_path / "run", tmp_path / "log"
    words += (*NOTE, "trainer.devices=2", ENDLESS, f"hydra.run.dir={run}")
    with started(words, cache_folder, log) as process:
        wait_for((run / "checkpoints" / "last.ckpt").is_file, process)
        pids = rank_pids(run)
        (server,) = set(map(parent, pids))  # which has imported for both
        assert server != process.pid == parent(server)
        os.kill(pids[rank], signal.SIGKILL)
        assert process.wait(A_MINUTE) == 1
    last = log.read_text().splitlines()[-1]
    assert last == f"error: rank {rank} of 2 was ended by SIGKILL"
    assert not any(map(alive, pids))


@pytest.mark.parametrize(
    ("sent", "status"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -signal.SIGKILL)],
    ids=["ctrl-c", "terminated", "killed"],
)
def test_all_ranks_end_with_the_command_however_it_ends(words, tmp_path, cache_folder, sent, status):
    run, log = tmp_path / "run", tmp_path / "log"
    words += (*NOTE, "trainer.devices=2", ENDLESS, f"hydra.run.dir={run}")
    with started(words, cache_folder, log) as process:
        wait_for((run / "checkpoints" / "last.ckpt").is_file, process)
        pids = rank_pids(run)
        process.send_signal(sent)
        assert process.wait(A_MINUTE) == status, log.read_text()
        wait_for(lambda: not any(map(alive, pids)))
    assert torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["global_step"] > 0
    if status > 0:
        (line,) = [line for line in log.read_text().splitlines() if "stopped in epoch" in line]
        assert f"ckpt_path={run} goes on from its last checkpoint" in line
        assert line in (run / "train.log").read_text()


def test_a_killed_run_ends_with_the_weights_of_one_that_was_not(command, words, tmp_path, cache_folder):
    words += ("trainer.max_epochs=4", "checkpoint_every_n_steps=5")
    whole = succeeded(command("train.py", *words, "data.batch_size=64", "name=whole"))
    run, log = tmp_path / "killed", tmp_path / "log"
    resumed = (*words, f"hydra.run.dir={run}", f"paths.runs_dir={tmp_path / 'runs'}", "ckpt_path=last")
    slow = ("+callbacks.slow._target_=tests.end_to_end.note_rank.Slow",)
    with started((*resumed, *slow, "data.batch_size=64"), cache_folder, log) as process:
        wait_for(lambda: "epoch 1:" in log.read_text(), process)
        step = last_step(run)
        wait_for(lambda: last_step(run) > step + 5, process)
        process.kill()
    step = last_step(run)
    assert step % 5 == 0 and 10 < step < len(column(whole, "train/loss"))
    killed = {size: tmp_path / f"killed-{size}" for size in (1, 2)}
    for folder in killed.values():
        subprocess.run(["cp", "-r", str(run), str(folder)], check=True)
    for size, folder in killed.items():
        devices = (f"trainer.devices={size}", f"data.batch_size={64 // size}", f"hydra.run.dir={folder}")
        result = command("train.py", *words, *devices, "ckpt_path=last")
        assert succeeded(result).resolve() == folder.resolve()
        assert f"step {step}" in result.stderr
        for name in ("val/mrr", "train/best_epoch", "train/epochs"):
            assert metrics_of(folder)[name] == pytest.approx(metrics_of(whole)[name], abs=1e-6)
    assert torch.equal(weights(killed[1]), weights(whole))
    torch.testing.assert_close(weights(killed[2]), weights(whole), rtol=0, atol=1e-5)
    first_whole_epoch = printed(whole, "train/loss_epoch")[2:]
    assert printed(killed[1], "train/loss_epoch")[-len(first_whole_epoch) :] == first_whole_epoch


def last_step(run: Path) -> int:
    return torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["global_step"]


def test_two_nodes_started_by_torchrun_train_the_weights_of_one_device(command, words, tmp_path, cache_folder):
    words += ("trainer.max_epochs=4",)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    agent = ["bash", "scripts/torchrun.sh", "2", f"127.0.0.1:{port}"]
    run = tmp_path / "two nodes"
    two = (*words, *NOTE, "data.batch_size=32", f"hydra.run.dir='{run}'")
    environment = os.environ | {"ASKAGAIN_CACHE": str(cache_folder), "PYTHON": sys.executable, "PER_NODE": "1"}
    nodes = [
        subprocess.Popen([*agent, *two], cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        for _ in range(2)
    ]
    output = [node.communicate(timeout=3 * A_MINUTE)[0].decode() for node in nodes]
    assert [node.returncode for node in nodes] == [0, 0], output
    assert sum(text.count("metrics: ") for text in output) == 1
    one = succeeded(command("train.py", *words, "data.batch_size=64", "name=one"))
    torch.testing.assert_close(weights(run), weights(one), rtol=0, atol=1e-5)
    assert printed(run, "val/mrr") == printed(one, "val/mrr")


def under_torchrun(cache: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """`train.py WORDS...` in two processes of torchrun's on this machine."""
    agent = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "train.py"]
    settings = {"ASKAGAIN_CACHE": str(cache), "HYDRA_FULL_ERROR": "0"}
    return subprocess.run(
        [*agent, *words], cwd=ROOT, env=os.environ | settings, capture_output=True, text=True, timeout=180
    )


def test_a_sweep_under_torchrun_is_refused_in_a_line_that_names_the_launchers(words, tmp_path, cache_folder):
    result = under_torchrun(cache_folder, "-m", *words, "seed=0,1", f"paths.runs_dir={tmp_path}")
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    for launcher in ("submitit_slurm", "submitit_local", "ray", "joblib"):
        assert launcher in line
    assert result.returncode != 0 and "exitcode  : 2" in result.stderr  # torchrun itself exits with 1
    assert list(tmp_path.iterdir()) == []


def test_torchruns_other_ranks_end_where_the_first_ends_without_a_run(words, tmp_path, cache_folder):
    result = under_torchrun(cache_folder, *words, "model.dim=no", f"paths.runs_dir={tmp_path}")
    assert result.returncode == 1, result.stderr
    assert len([line for line in result.stderr.splitlines() if line.startswith("error: ")]) == 1


def test_a_mistake_that_only_ranks_meet_is_one_line(command, words, tmp_path):
    assert "trainer:" in refused(command("train.py", *words, "trainer.devices=2", "trainer.precision=8-true"))


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("trainer.strategy=fsdp", "trainer.strategy=fsdp: must be 'auto', 'ddp'"),
        ("trainer.num_nodes=2", "with torchrun or srun"),
        ("trainer.devices=many", "trainer.devices=many: must be a number of devices"),
        ("trainer.devices=0", "trainer.devices=0: must be a number of devices"),
        ("checkpoint_every_n_steps=0", "must be at least 1"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(command, words, setting, said):
    assert said in refused(command("train.py", *words, setting))
