"""Small corpora for commands, and what their output is read with."""

import csv
import json
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from wandb.proto import wandb_internal_pb2

from askagain.synthetic.sample import write_sample

SMALL = {"seed": 3, "groups": 300, "rows": 40, "negatives": 60}
# A report takes longer than such a run; those of test_report.py have one.
QUICK = ("trainer.max_epochs=1", "model.dim=16", "data.batch_size=64", "trainer.accelerator=cpu", "report=false")
WORDS = ("kept", "preprocessor")  # beside the figures


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
    """The flat figures of a run, without the words beside them."""
    metrics = json.loads((run / "metrics.json").read_text())
    assert all(isinstance(metrics.pop(name, ""), str) for name in WORDS)
    assert all(isinstance(value, int | float) for value in metrics.values())
    return metrics


def column(run: Path, name: str) -> list[float]:
    """The values of one column of a run's metrics.csv, in order."""
    with (run / "metrics.csv").open() as file:
        return [float(row[name]) for row in csv.DictReader(file) if row[name]]


def wandb_records(run: Path) -> Iterator[wandb_internal_pb2.Record]:
    """What W&B wrote offline: a LevelDB log of protobuf records, in blocks of 32 KiB, after a header of 7 bytes."""
    (path,) = run.glob("wandb/offline-run-*/*.wandb")
    data = path.read_bytes()
    position, parts = 7, b""
    while position + 7 <= len(data):
        if 32_768 - position % 32_768 < 7:
            position += 32_768 - position % 32_768
            continue
        _, length, kind = struct.unpack_from("<IHB", data, position)
        parts += data[position + 7 : position + 7 + length]
        position += 7 + length
        if kind in (1, 4):  # a whole record, or the last part of one
            record = wandb_internal_pb2.Record()
            record.ParseFromString(parts)
            parts = b""
            yield record


def history_of(record: wandb_internal_pb2.Record) -> dict[str, float]:
    return {"/".join(item.nested_key) or item.key: json.loads(item.value_json) for item in record.history.item}


def refused(result: subprocess.CompletedProcess[str]) -> str:
    """The one line with which a command refused its input."""
    assert result.returncode == 2, result.stdout + result.stderr
    lines = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1 and result.stderr.splitlines()[-1] == lines[0], result.stderr
    assert "Traceback" not in result.stderr
    return lines[0]
