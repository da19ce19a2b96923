"""Records of made-up runs."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from askagain.corpus.cache import Cache
from askagain.ranking.metrics import reciprocal_rank
from askagain.ranking.ranks import Ranks
from askagain.ranking.significance import compare
from askagain.reporting.record import RankedRows, Record

ROWS = 60


def ranked(name: str, seed: int, worst: int = 40) -> RankedRows:
    above = np.random.default_rng(seed).integers(0, worst, ROWS) * (np.arange(ROWS) % 3 > 0)
    return RankedRows.of(name, Ranks(above, np.zeros(ROWS, dtype=np.int64)))


def tested(kept: RankedRows, name: str, seed: int, worst: int = 40) -> RankedRows:
    """What the kept encoder is compared with."""
    ranks = ranked(name, seed, worst).ranks
    return RankedRows.of(name, ranks, compare(reciprocal_rank(kept.ranks), reciprocal_rank(ranks), 1000, seed=0))


@pytest.fixture
def record() -> Record:
    """A run of two epochs with everything in it."""
    epochs = [
        {"trained": 0, "losses": {}, "rows": ROWS, "moments": {"hits@1": [0.2, 0.2], "mrr": [0.3, 0.2]}},
        {"trained": 1, "losses": {"loss": 2.0, "val/loss": 2.5}},
        {"trained": 2, "losses": {"loss": 1.0}, "rows": ROWS, "moments": {"hits@1": [0.5, 0.5], "mrr": [0.6, 0.5]}},
    ]
    carried = [["disk", "disk", 0.5], ["[dis]", "usb", 0.25]]
    shown = {"text": "usb disk", "cosine": 0.75, "carried": carried}
    duplicate = {"text": "mount usb", "cosine": 0.25, "carried": []}
    kept = ranked("best epoch (1)", 1)
    return Record(
        about={"name": "dssm", "data": "data/mine", "ended": "2026-01-02", "command": "python train.py data=tsv"},
        machine={"processor": "one core"},
        config={"seed": 0, "model": {"dim": 8}, "paths": {"run_dir": "runs/a"}, "folder": "runs/a/encoder"},
        counts={"groups": 7, "nothing": 0},
        metrics={"val/mrr": 0.5, "val/hits@1": 0.25, "val/seconds": 1.0, "train/epochs": 2},
        decides="mrr",
        mode="max",
        ks=[1, 10],
        ties="expected",
        confidence=0.95,
        resamples={"intervals": 100, "test": 1000},
        seed=0,
        intervals={"val": {"mrr": [0.4, 0.6]}},
        validation="0" * 64,
        questions=[[f"question {row}", f"duplicate {row}"] for row in range(ROWS)],
        rankers=[kept, tested(kept, "before training", 2, worst=90), tested(kept, "bm25 on the same text", 3)],
        epochs=epochs,
        kept_after=2,
        dims=[{"dim": 4, "mrr": 0.4, "low": 0.3, "high": 0.5}, {"dim": 8, "mrr": 0.5, "low": 0.4, "high": 0.6}],
        reliability={
            "predicted": [0.1, 0.6],
            "actual": [0.1, 0.5],
            "weights": [0.9, 0.1],
            "error": 0.01,
            "groups": 9,
            "others": 50,
        },
        worst=[{"question": "mount a disk", "rank": 40.0, "duplicate": duplicate, "above": [shown]}],
        nearest=[
            {"word": "disk", "known": True, "nearest": [["usb", 0.5]]},
            {"word": "dsik", "known": False, "nearest": [["disk", 0.4]]},
        ],
        word_map={"word": ["disk", "usb"], "count": [9, 4], "x": [0.0, 1.0], "y": [0.0, 2.0]},
        data={"missing": "The corpus has 900,000 texts, too many to describe in passing: askagain describe DIR"},
    )


@pytest.fixture
def changed(record: Record) -> Callable[..., Record]:
    """The record with other values."""

    def change(**values: Any) -> Record:
        return replace(record, **values)

    return change


@pytest.fixture(scope="session")
def library_cache(tmp_path_factory: pytest.TempPathFactory) -> Cache:
    """Keeps the charts' library, which takes seconds to put together."""
    return Cache(tmp_path_factory.mktemp("library"))
