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
    tried = [line for line in done.stdout.splitlines() if "damaged file" in line or "killed" in line]
    assert len(tried) >= 6 and "all" in done.stdout.splitlines()[-2] + done.stdout.splitlines()[-3]
