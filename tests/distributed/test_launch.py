import json
import os
import subprocess
import sys
import time
from contextlib import nullcontext

import pytest
from omegaconf import OmegaConf
from torch.distributed import TCPStore

from askagain.distributed import launch as processes
from askagain.distributed.launch import Place, Team
from askagain.errors import RankError


def test_a_run_is_interrupted_and_not_the_sweep_where_a_rank_fails_that_nobody_waits_for(monkeypatch):
    monkeypatch.setattr(processes, "TORN", 0.1)
    team = Team(Place(0, 2, 0, 2), TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False))
    monkeypatch.setattr(team, "_joined", lambda number, device_type: nullcontext())

    def busy() -> None:
        team._store.set("failed/0/1", json.dumps(["no memory left", "Traceback ..."]))
        time.sleep(60)

    began = time.monotonic()
    with pytest.raises(RankError, match="rank 1 of 2 failed: no memory left"):
        team.run(OmegaConf.create({}), busy, "cpu")
    assert time.monotonic() - began < 30
    assert team.run(OmegaConf.create({}), lambda: "the next run", "cpu") == "the next run"


@pytest.mark.parametrize(("number", "name"), [(9, "SIGKILL"), (40, "signal 40")])
def test_a_rank_that_a_signal_ended_is_told_of(monkeypatch, tmp_path, number, name):
    team = Team(Place(0, 2, 0, 2), TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False))
    process = subprocess.Popen([sys.executable, "-c", f"import os; os.kill(os.getpid(), {number})"])
    process.wait(60)
    with (tmp_path / "output").open("w+") as output:
        monkeypatch.setattr(team, "_workers", {1: (process, output)})
        with pytest.raises(RankError, match=f"rank 1 of 2 was ended by {name}"):
            team._wait_for(["something that is never set"])


def test_ctrl_c_stays_what_it_is(monkeypatch):
    team = Team(Place(0, 2, 0, 2), TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False))
    monkeypatch.setattr(team, "_joined", lambda number, device_type: nullcontext())

    def interrupted() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        team.run(OmegaConf.create({}), interrupted, "cpu")


def test_a_rank_whose_first_one_has_ended_while_it_started_ends_by_itself():
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    there = dict(zip(processes.PLACE, ("1", "2", "1", "2"), strict=True))
    environment = os.environ | there | {processes.STORE: "127.0.0.1:9", processes.PARENT: str(gone.pid)}
    rank = [sys.executable, "-m", "askagain.apps.worker"]
    assert subprocess.run(rank, env=environment, timeout=60, capture_output=True).returncode == 1
