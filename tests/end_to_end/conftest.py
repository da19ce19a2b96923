"""Small corpora for commands, and what their output is read with."""

import csv
import json
import subprocess
from pathlib import Path

import pytest

from askagain.corpus.sample import write_sample

SMALL = {"seed": 3, "groups": 300, "rows": 40, "negatives": 60}
QUICK = ("trainer.max_epochs=1", "model.dim=16", "data.batch_size=64", "trainer.accelerator=cpu")


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small synthetic corpus, a few unlabelled texts among it."""
    folder = tmp_path_factory.mktemp("small")
    write_sample(folder, **SMALL)
    (folder / "corpus.txt").write_text("how to mount a disk\nwhat is a monad\n")
    return folder


def succeeded(result: subprocess.CompletedProcess[str]) -> Path:
    """The run folder that a command's last line names."""
    assert result.returncode == 0, result.stdout + result.stderr
    last = result.stdout.splitlines()[-1]
    assert last.startswith("metrics: "), last
    path = Path(last.removeprefix("metrics: "))
    assert path.name == "metrics.json" and path.is_file()
    return path.parent


def metrics_of(run: Path) -> dict[str, float]:
    """The flat figures of a run."""
    metrics = json.loads((run / "metrics.json").read_text())
    assert all(isinstance(value, int | float) for value in metrics.values())
    return metrics


def column(run: Path, name: str) -> list[float]:
    """The values of one column of a run's metrics.csv, in order."""
    with (run / "metrics.csv").open() as file:
        return [float(row[name]) for row in csv.DictReader(file) if row[name]]


def refused(result: subprocess.CompletedProcess[str]) -> str:
    """The one line with which a command refused its input."""
    assert result.returncode == 2, result.stdout + result.stderr
    lines = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1 and result.stderr.splitlines()[-1] == lines[0], result.stderr
    assert "Traceback" not in result.stderr
    return lines[0]
