"""`scripts/check_gpu.sh` where it cannot check anything: a line says what is missing. Where it can, it is the check."""

import os
import subprocess
import sys
import venv

import pytest

from tests.conftest import ROOT


def refusal(python: str) -> str:
    """What the script says before it gives up."""
    result = subprocess.run(
        ["bash", str(ROOT / "scripts" / "check_gpu.sh")],
        env=os.environ | {"PYTHON": python, "PYTHONPATH": ""},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 2 and not result.stdout, result.stdout + result.stderr
    (line,) = result.stderr.splitlines()
    return line


def test_it_names_the_packages_that_are_missing_with_their_versions(tmp_path):
    venv.create(tmp_path / "bare", symlinks=True)
    line = refusal(str(tmp_path / "bare" / "bin" / "python"))
    pins = {line.strip() for line in (ROOT / "requirements.txt").read_text().splitlines() if "==" in line}
    words = line.removeprefix("error: not installed: ").split()
    assert {"pytest", "pytest-timeout"} < set(words)
    assert {word for word in words if not word.startswith("pytest")} < pins


def test_it_says_that_there_is_no_gpu():
    import torch

    if torch.cuda.is_available():
        pytest.skip("torch finds a GPU")
    assert "finds no GPU" in refusal(sys.executable)
