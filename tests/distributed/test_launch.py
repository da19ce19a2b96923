"""Ranks that end badly. They are processes of this machine; what they train is tested with the commands."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from torch import distributed

from askagain.distributed import launch
from askagain.distributed.launch import process_group, run_ranks
from askagain.errors import InputError, RankError


def rank() -> int:
    return int(os.environ["RANK"])


def add_up() -> tuple[int, int]:
    """The process id, and the sum of all ranks' numbers."""
    with process_group("cpu"):
        total = torch.tensor(rank() + 1)
        distributed.all_reduce(total)
    return os.getpid(), int(total)


def fail(error: Exception, failing: int) -> None:
    """One rank raises; the others wait for it in a collective."""
    with process_group("cpu"):
        if rank() == failing:
            raise error
        distributed.barrier()


def end_by(number: int, last_words: str, failing: int) -> None:
    """One rank is ended by a signal; the others are busy by themselves."""
    print(last_words, file=sys.stderr, flush=True)
    if rank() == failing:
        os.kill(os.getpid(), number)
    time.sleep(600)


def note_and_sleep(folder: Path) -> None:
    (folder / f"{rank()}.part").write_text(str(os.getpid()))
    (folder / f"{rank()}.part").rename(folder / str(rank()))
    time.sleep(600)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_for(condition, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


@pytest.mark.slow
def test_the_result_is_rank_0s_and_signals_and_environment_are_then_as_before():
    handlers = [signal.getsignal(number) for number in launch.STOPPING_SIGNALS]
    pid, total = run_ranks(3, add_up)
    assert total == 1 + 2 + 3 and pid != os.getpid() and not alive(pid)
    assert [signal.getsignal(number) for number in launch.STOPPING_SIGNALS] == handlers
    assert "RANK" not in os.environ and launch.cluster_environment() is None


@pytest.mark.slow
@pytest.mark.parametrize("failing", [0, 1])
def test_the_rank_that_fails_is_named_and_its_traceback_logged_once(caplog, forked_ranks, failing):
    with pytest.raises(RankError, match=f"^rank {failing} of 2 failed: MemoryError: no memory left$"):
        run_ranks(2, fail, MemoryError("no memory left"), failing)
    assert caplog.text.count("Traceback") == 1 and "raise error" in caplog.text


@pytest.mark.slow
@pytest.mark.parametrize("failing", [0, 1])
def test_a_mistake_of_the_users_that_a_rank_meets_is_raised_as_it_is(caplog, forked_ranks, failing):
    with pytest.raises(InputError, match=r"^data\.dir=nowhere: no such folder$"):
        run_ranks(2, fail, InputError("data.dir=nowhere: no such folder"), failing)
    assert not caplog.text


@pytest.mark.slow
@pytest.mark.parametrize(("number", "name"), [(signal.SIGKILL, "SIGKILL"), (40, "signal 40")])
def test_a_rank_that_a_signal_ended_is_named_with_its_last_line_though_nobody_waits_for_it(forked_ranks, number, name):
    began = time.monotonic()
    with pytest.raises(RankError, match=f"^rank 1 of 2 was ended by {name}: no memory left$"):
        run_ranks(2, end_by, number, "no memory left", 1)
    assert time.monotonic() - began < 60


@pytest.mark.slow
@pytest.mark.parametrize("sent", [signal.SIGHUP, signal.SIGKILL])
def test_no_rank_outlives_the_process_that_started_it(tmp_path, sent):
    lines = (
        "from pathlib import Path",
        "from askagain.distributed.launch import run_ranks",
        "from tests.distributed.test_launch import note_and_sleep",
        f"run_ranks(2, note_and_sleep, Path({str(tmp_path)!r}))",
    )
    root = Path(__file__).resolve().parents[2]
    process = subprocess.Popen(
        [sys.executable, "-c", "\n".join(lines)],
        cwd=root,
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),  # it is ignored under nohup
    )
    try:
        wait_for(lambda: all((tmp_path / str(number)).is_file() for number in (0, 1)))
        pids = [int((tmp_path / str(number)).read_text()) for number in (0, 1)]
        process.send_signal(sent)
        status = process.wait(60)
        assert status == (-sent if sent == signal.SIGKILL else 128 + sent)
        wait_for(lambda: not any(map(alive, pids)))
    finally:
        process.kill()


@pytest.mark.slow
def test_a_rank_whose_parent_ended_while_it_started_ends_by_itself(tmp_path):
    """The parent ends when both processes are there, long before they have imported what they work with."""
    lines = (
        "import multiprocessing, os, threading, time",
        "from pathlib import Path",
        "from askagain.distributed.launch import run_ranks",
        "from tests.distributed.test_launch import note_and_sleep",
        "def end():",
        "    while len(multiprocessing.active_children()) < 2: time.sleep(0.01)",
        "    print(*(child.pid for child in multiprocessing.active_children()), flush=True)",
        "    os.kill(os.getpid(), 9)",
        "threading.Thread(target=end).start()",
        f"run_ranks(2, note_and_sleep, Path({str(tmp_path)!r}))",
    )
    root = Path(__file__).resolve().parents[2]
    process = subprocess.run([sys.executable, "-c", "\n".join(lines)], cwd=root, capture_output=True, text=True)
    pids = [int(number) for number in re.findall(r"\d+", process.stdout)]
    assert process.returncode == -signal.SIGKILL and len(pids) == 2
    wait_for(lambda: not any(map(alive, pids)))


@pytest.mark.parametrize(
    ("variables", "place"),
    [
        ({}, None),
        ({"TORCHELASTIC_RUN_ID": "1", "RANK": "3", "WORLD_SIZE": "4", "GROUP_WORLD_SIZE": "2"}, (3, 4, 2)),
        ({"TORCHELASTIC_RUN_ID": "1", "RANK": "0", "WORLD_SIZE": "1", "GROUP_WORLD_SIZE": "1"}, None),
        (
            {
                "SLURM_STEP_NUM_TASKS": "6",
                "SLURM_STEP_NUM_NODES": "2",
                "SLURM_NTASKS": "6",
                "SLURM_PROCID": "5",
                "SLURM_JOB_NAME": "train",
            },
            (5, 6, 2),
        ),
    ],
    ids=["by itself", "torchrun", "torchrun with one process", "srun"],
)
def test_rank_world_size_and_nodes_are_those_that_torchrun_or_srun_set(monkeypatch, variables, place):
    for name in [name for name in os.environ if name.startswith(("SLURM_", "TORCHELASTIC_"))]:
        monkeypatch.delenv(name)
    for name in ("GROUP_WORLD_SIZE", "SLURM_NTASKS_PER_NODE"):
        monkeypatch.setenv(name, "0")  # so that it is removed again where the code sets it
        monkeypatch.delenv(name)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    environment = launch.cluster_environment()
    if place is None:
        assert environment is None
    else:
        assert (environment.global_rank(), environment.world_size(), launch.node_count()) == place


def test_signals_that_are_ignored_stay_so():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with launch._stop_on_signals():
            os.kill(os.getpid(), signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)
