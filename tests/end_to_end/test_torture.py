"""Two minutes of `scripts/torture.py`: nothing that it does to files, processes and disks is lost."""

import subprocess
import sys

import pytest

from tests.conftest import ROOT

MINUTES = 2


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_nothing_is_lost_in_two_minutes():
    command = [sys.executable, "scripts/torture.py", "--minutes", str(MINUTES), "--seed", "7"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    for kind in ("cache", "checkpoint", "encoder", "metrics"):
        assert f"damaged file, {kind}" in done.stdout
    assert "killed worker" in done.stdout
