"""The benchmark command, on a corpus so small that its figures say nothing."""

import json
import sys
from pathlib import Path

import pytest

from tests.end_to_end.conftest import refused

pytestmark = pytest.mark.slow

TINY = {
    "rows": 4_000,  # fewer, and the plain way prints 0.00 s
    "validation_rows": 12,
    "candidates": 31,
    "pool": 100,
    "vocabulary": 600,
    "dim": 16,
    "batch_size": 64,
    "steps": 4,
    "plain_steps": 2,
    "scored_rows": 2,
    "texts": 300,
    "words": 500,
    "rounds": 2,
}


@pytest.fixture
def benchmark(command, tmp_path):
    """Runs the benchmark and gives its JSON and what it printed."""

    def run(*words):
        sizes = [f"size.{name}={value}" for name, value in TINY.items()]
        result = command("scripts/benchmark.py", *words, *sizes, f"out={tmp_path / 'out'}")
        assert result.returncode == 0, result.stdout + result.stderr
        return json.loads((tmp_path / "out" / "benchmark.json").read_text()), result.stdout

    return run


@pytest.fixture
def yardsticks(askubuntu) -> Path:
    folder = askubuntu.parent.parent / "bench"
    if not (folder / "notebook_way.py").is_file():
        pytest.skip(f"the yardsticks are not at {folder}")
    return folder


def test_every_contender_is_measured_in_every_round_beside_ours(benchmark, yardsticks, tmp_path, cache_folder):
    found, printed = benchmark("benchmarks=prepare,evaluate", f"yardsticks={yardsticks}")
    jobs = {job["job"]: job for job in found["jobs"]}
    assert len(jobs) == 5
    for name, job in jobs.items():
        for contender, values in job["values"].items():
            assert len(values) == 2 and min(values) > 0, (name, contender, values)
        if "with the cache" not in name:
            assert job["ratios"]["the plain way"] == pytest.approx(
                job["medians"]["the plain way"] / job["medians"]["askagain"]
            )
    assert "4,000 rows to token store" in printed and "PyTorch" in found["about"]
    assert "| the plain way |" in (tmp_path / "out" / "benchmark.md").read_text()
    assert not [path for path in cache_folder.iterdir() if path.name.startswith("benchmark-") and path.name[10] != "c"]


def test_training_is_that_of_the_real_command(benchmark):
    found, printed = benchmark("benchmarks=[train]")
    (job,) = found["jobs"]
    assert job["unit"] == "pairs/s" and len(job["values"]["askagain"]) == 2
    assert "times its floor" in found["about"]["a training step"] and "a training step" in printed


def test_the_trigram_regressor_encoding_and_starting_are_measured(benchmark):
    found, _ = benchmark("benchmarks=encode,trigram,startup", "size.rounds=1")
    units = [job["unit"] for job in found["jobs"]]
    assert units == ["texts/s", "texts/s", "words/s", "s", "s", "s"]
    assert set(found["jobs"][2]["medians"]) == {"askagain", "EmbeddingBag, dense Adam, Python collator"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("benchmarks=train,sleep",), "benchmarks=['train', 'sleep']: each must be"),
        (("size.rounds=0",), "size.rounds=0: must be at least 1"),
        (("yardsticks=nowhere",), "yardsticks=nowhere: no such folder"),
        (("benchmarks=evaluate", f"yardsticks={Path(sys.prefix)}", "size.rows=50"), "notebook_way.py"),
    ],
)
def test_a_mistake_is_answered_by_one_line(command, tmp_path, words, message):
    sizes = [
        f"size.{name}={value}" for name, value in TINY.items() if not any(f"size.{name}=" in word for word in words)
    ]
    assert message in refused(command("scripts/benchmark.py", *sizes, f"out={tmp_path}", *words))
