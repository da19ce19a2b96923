"""The benchmark command, on a corpus so small that its figures say nothing."""

import json
import shutil

import pytest

from tests.end_to_end.conftest import refused

pytestmark = pytest.mark.slow

TINY = {
    "rows": 600,
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
    "rounds": 1,
    "dump_megabytes": 1,
    "searched_texts": 300,
    "questions": 20,
}

TINY_SIZES = [f"size.{name}={value}" for name, value in TINY.items()]


@pytest.fixture
def benchmark(command, tmp_path):
    """Runs the benchmark and gives its JSON and what it printed."""

    def run(*words):
        result = command("scripts/benchmark.py", *words, *TINY_SIZES, f"out={tmp_path / 'out'}")
        assert result.returncode == 0, result.stdout + result.stderr
        return json.loads((tmp_path / "out" / "benchmark.json").read_text()), result.stdout

    return run


def test_preparing_and_ranking_are_measured_beside_the_plain_way(benchmark, tmp_path, cache_folder):
    found, printed = benchmark("benchmarks=prepare,evaluate")
    jobs = {job["job"]: job for job in found["jobs"]}
    assert len(jobs) == 5
    for name, job in jobs.items():
        assert min(value for values in job["values"].values() for value in values) > 0
        if "with the cache" not in name:
            assert job["ratios"]["the plain way"] == pytest.approx(
                job["medians"]["the plain way"] / job["medians"]["askagain"]
            )
    assert "600 rows to token store" in printed and "PyTorch" in found["about"]
    assert "| the plain way |" in (tmp_path / "out" / "benchmark.md").read_text()
    assert not [path for path in cache_folder.iterdir() if path.name.startswith("benchmark-") and path.name[10] != "c"]


def test_training_is_that_of_the_real_command(benchmark):
    found, printed = benchmark("benchmarks=[train]")
    (job,) = found["jobs"]
    contenders = {"askagain", "askagain, kernels=plain", "the plain way", "the floor of this machine"}
    assert job["unit"] == "pairs/s" and set(job["values"]) == contenders
    assert "times its floor" in found["about"]["a training step"] and "a training step" in printed


def test_the_trigram_regressor_encoding_and_starting_are_measured(benchmark):
    found, _ = benchmark("benchmarks=encode,trigram,startup")
    units = [job["unit"] for job in found["jobs"]]
    assert units == ["texts/s", "texts/s", "texts/s", "words/s", "s", "s", "s"]
    contenders = {"askagain", "EmbeddingBag, dense Adam, Python collator", "the floor of this machine"}
    assert set(found["jobs"][3]["medians"]) == contenders
    assert "times its floor: " in found["about"]["a step of the trigram regressor"]


def test_training_is_timed_until_an_epoch_ranks_well_enough(benchmark, small, command, tmp_path):
    found, _ = benchmark("benchmarks=to_quality", f"quality.corpus={small}", "quality.mrr=0.2")
    new, again = (job["medians"]["askagain"] for job in found["jobs"])
    assert min(new, again) > 0
    words = ("benchmarks=to_quality", f"quality.corpus={small}", "quality.mrr=1", *TINY_SIZES, f"out={tmp_path}")
    assert "without such a line" in refused(command("scripts/benchmark.py", *words))


def test_search_duplicates_and_loading_are_measured_on_synthetic_texts_and_on_those_of_a_corpus(benchmark, tmp_path):
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    lines = [f"mount disk{number} now\tattach disk{number}\tdisk{number} mounting\n" for number in range(40)]
    (corpus / "train.tsv").write_text("".join(lines))
    (corpus / "validation.tsv").write_text("mount a disk\tattach disk1\tfree memory\n" * 2)
    found, _ = benchmark("benchmarks=search,duplicates,load")
    units = ["questions/s", "questions/s", "ms", "share", *["s", "share", "share", "share"] * 2, "s", "s"]
    assert [job["unit"] for job in found["jobs"]] == units
    assert min(job["medians"]["askagain"] for job in found["jobs"]) > 0
    found, _ = benchmark("benchmarks=search", f"searched_corpus={corpus}")
    jobs = {job["job"]: job["medians"]["askagain"] for job in found["jobs"]}
    assert jobs["search among 100 texts: recall@10"] == 1  # 120 without 20 questions


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("benchmarks=train,sleep",), "benchmarks=['train', 'sleep']: each must be"),
        (("size.rounds=0",), "size.rounds=0: must be at least 1"),
        (("peer_python=nowhere",), "peer_python=nowhere: no such file"),
        (("searched_corpus=nowhere",), "searched_corpus=nowhere: no such folder"),
        (("benchmarks=encode", f"peer_python={shutil.which('false')}"), "benchmark_peers.py encode"),
    ],
)
def test_a_mistake_is_answered_by_one_line(command, tmp_path, words, message):
    sizes = [
        f"size.{name}={value}" for name, value in TINY.items() if not any(f"size.{name}=" in word for word in words)
    ]
    assert message in refused(command("scripts/benchmark.py", *sizes, f"out={tmp_path}", *words))
