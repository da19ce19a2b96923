"""The two commands of the README."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]


def test_quickstart_trains_on_the_sample_and_says_what_to_type_next(tmp_path, cache_folder):
    if Path(sys.prefix) != ROOT / ".venv":
        pytest.skip("runs in the environment that the script makes")
    result = subprocess.run(
        ["bash", "scripts/quickstart.sh", "trainer.max_epochs=2", f"hydra.run.dir={tmp_path}/run", "model.dim=32"],
        cwd=ROOT,
        env=os.environ | {"ASKAGAIN_CACHE": str(cache_folder)},
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert result.returncode == 0, result.stderr
    for piece in (
        "the start",
        "best epoch",
        "hits@10",
        "metrics: ",
        f"python evaluate.py encoder.path={tmp_path}/run",
    ):
        assert piece in result.stdout
