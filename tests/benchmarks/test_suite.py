from collections import Counter
from pathlib import Path

import pytest

from askagain.benchmarks.comparison import Benchmark, Measure
from askagain.benchmarks.suite import Benchmarks, Sizes
from askagain.benchmarks.table import OURS, BenchmarkResult
from askagain.errors import InputError

RATE, CACHED = Measure("training", "pairs/s", True), Measure("again", "s", False)
SIZES = Sizes(
    **{"rows": 50, "validation_rows": 5, "candidates": 10, "pool": 20, "vocabulary": 100, "dim": 8, "batch_size": 4},
    **{"steps": 2, "plain_steps": 1, "scored_rows": 1, "texts": 20, "words": 20, "rounds": 1, "dump_megabytes": 1},
    **{"searched_texts": 60, "questions": 10},
)
TRAINERS = {"sentence-transformers trainer", "sentence-transformers trainer, bf16"}


def test_contenders_run_in_turn_in_every_round_and_are_missing_where_they_have_no_value():
    order, lines, runs = [], [], Counter()

    def contender(name, **values):
        def run():
            order.append(name)
            runs[name] += 1
            return {"rate": 10 * runs[name], **values}

        return run

    contenders = {OURS: contender(OURS, cached=0.5, peak=7), "other": contender("other")}
    results = Benchmark({"rate": RATE, "cached": CACHED}, contenders).compare(3, lines.append)
    assert results == [
        BenchmarkResult("training", "pairs/s", True, {OURS: [10, 20, 30], "other": [10, 20, 30]}),
        BenchmarkResult("again", "s", False, {OURS: [0.5, 0.5, 0.5]}),
    ]
    assert order == [OURS, "other"] * 3
    assert lines[:3] == ["round 1 of 3: askagain", "round 1 of 3: other", "round 2 of 3: askagain"]


def test_training_to_a_quality_needs_a_corpus(tmp_path):
    with pytest.raises(InputError, match=r"quality.corpus=DIR"):
        Benchmarks(SIZES, Path(), tmp_path, tmp_path, {}, None).benchmark("to_quality")


@pytest.mark.parametrize(
    ("name", "peers"), [("train", TRAINERS), ("encode", {"model2vec", "sentence-transformers"}), ("evaluate", set())]
)
def test_peers_are_contenders_where_there_is_a_python_to_run_them(tmp_path, name, peers):
    def contenders(python):
        return set(Benchmarks(SIZES, Path(), tmp_path, tmp_path, {}, python).benchmark(name).contenders)

    assert contenders(Path("python")) - contenders(None) == peers
    assert OURS in contenders(None)
