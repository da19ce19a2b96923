"""A minute of `scripts/torture.py`: nothing that it does to files, processes and disks is lost."""

import importlib.util
import subprocess
import sys
from types import ModuleType, SimpleNamespace

import pytest

from askagain.torture.trials import Bench, NoSmallDiskError, Outcome
from tests.conftest import ROOT

MINUTES = 1


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_nothing_is_lost_in_a_minute():
    command = [sys.executable, "scripts/torture.py", "--minutes", str(MINUTES), "--seed", "7"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    for kind in ("cache", "checkpoint", "encoder", "metrics"):
        assert f"damaged file, {kind}" in done.stdout
    assert "killed worker" in done.stdout


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script with a bench that runs nothing."""
    spec = importlib.util.spec_from_file_location("torture_script", ROOT / "scripts" / "torture.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "torture_script", module)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "Bench", lambda root, folder: None)
    return module


def status(script: ModuleType, monkeypatch: pytest.MonkeyPatch, trial: object) -> int:
    monkeypatch.setattr(script, "ROUND", {trial: 1})
    monkeypatch.setattr(sys, "argv", ["torture.py", "--minutes", "0.002"])
    with pytest.raises(SystemExit) as ended:
        script.main()
    return int(str(ended.value.code))


def test_nothing_tried_is_no_success_and_a_refused_file_is_lost(script, monkeypatch, capsys):
    def no_disk(*_):
        raise NoSmallDiskError("must be superuser")

    def refused(*_):
        raise PermissionError("metrics.json")

    assert status(script, monkeypatch, no_disk) == 1
    said = capsys.readouterr()
    assert "must be superuser" in said.out and "nothing was tried" in said.err
    assert status(script, monkeypatch, refused) == 1
    assert "lost: refused: PermissionError" in capsys.readouterr().err


def test_what_had_no_effect_does_not_count_as_survived(script):
    count = script.Count()
    for outcome in (Outcome("cache: flip"), Outcome("cache: nothing", was_tried=False)):
        count.add(SimpleNamespace(__name__="damaged_file"), outcome)
    assert (count.tried.total(), count.without_effect.total()) == (1, 1)


def test_a_process_that_has_ended_is_not_said_to_be_killed():
    bench = SimpleNamespace(root=ROOT)
    assert not Bench.killed(bench, [sys.executable, "-c", ""], 30, 9)
    assert Bench.killed(bench, [sys.executable, "-c", "import time; time.sleep(60)"], 0.1, 9)
