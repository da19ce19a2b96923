"""The cost of training at a given size: memory of a device, bytes that cross between devices, time of a step.

Memory and bytes are counted from the shapes of a step (see `Step`). The time follows from rates measured on this
machine, with one process for each device at work.
"""

import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from askagain.synthetic.scaled import SECOND_WORD_SHARE, WORDS_A_CONCEPT, ZIPF_SHIFT
from askagain.training.losses.nt_xent_fused import WIDTH
from askagain.training.losses.nt_xent_logits import Blocking

FLOAT = 4  # bytes
# Rows of optimizer state for each table row; Adam's include its dense gradient. Row-wise Adagrad adds one number a row.
STATE_ROWS = {"rowwise_adagrad": 0, "rowwise_adagrad_full": 1, "adam": 3}


@dataclass(frozen=True)
class Size:
    """The size of a training: rows of the table, dim, pairs in a batch of one device, devices, optimizer."""

    vocabulary: int
    dim: int
    batch_size: int
    devices: int
    optimizer: str = "rowwise_adagrad"


@dataclass(frozen=True)
class Rates:
    """The rates of a device while all are at work, each a second, and the overhead of a step."""

    flops: float
    copied_bytes: float
    crossed_bytes: float
    overhead_seconds: float


class Step:
    """The operations, bytes and memory of a training step.

    `tokens_a_pair`: words of both questions. `rare_words_a_pair`: those that are no stop words, with the frequencies of
    `askagain.synthetic.scaled`.
    """

    def __init__(self, size: Size, tokens_a_pair: float, rare_words_a_pair: float) -> None:
        self.size = size
        self.pairs = size.batch_size * size.devices
        self.tokens = round(self.pairs * tokens_a_pair)
        self.distinct_rows = distinct_words(round(self.pairs * rare_words_a_pair), size.vocabulary)

    @property
    def flops(self) -> float:
        """Operations of matrix products on a device: three of its own rows with all pairs."""
        return 3 * 2 * self.size.batch_size * self.pairs * padded(self.size.dim)

    @property
    def copied_bytes(self) -> float:
        """Bytes read and written in the memory of a device.

        Each token's row in the forward and the backward pass; distinct rows six times by row-wise Adagrad (gradient
        four times, row twice), or all rows twenty times by Adam, whose operations each pass over them; the vectors of
        the batch twelve times on their way to the loss and back; the logits six times.
        """
        size = self.size
        rows = 2 * self.tokens + 12 * 2 * self.pairs
        rows += 20 * size.vocabulary if size.optimizer == "adam" else 6 * self.distinct_rows
        return FLOAT * (rows * size.dim + 6 * size.batch_size * self.pairs)

    @property
    def crossed_bytes(self) -> int:
        """Bytes that a device gives to all_reduce: row and column sums, and the gradient of all vectors."""
        if self.size.devices == 1:
            return 0
        return FLOAT * (2 * self.pairs + 2 * self.pairs * padded(self.size.dim))

    @property
    def dense_bytes(self) -> int:
        """Bytes that all_reduce of a gradient as large as the table would take instead of `crossed_bytes`."""
        return 0 if self.size.devices == 1 else FLOAT * self.size.vocabulary * self.size.dim

    @property
    def memory_bytes(self) -> float:
        """Memory of a device: table, optimizer, five copies of the vectors of the batch, row gradients and logits."""
        size = self.size
        table = size.vocabulary * (size.dim * (1 + STATE_ROWS[size.optimizer]) + 1)
        vectors = (5 * 2 * self.pairs + self.distinct_rows) * size.dim
        return FLOAT * (table + vectors + min(size.batch_size * self.pairs, Blocking().kept_logits))

    def seconds(self, rates: Rates) -> float:
        return (
            self.flops / rates.flops
            + self.copied_bytes / rates.copied_bytes
            + self.crossed_bytes / rates.crossed_bytes
            + rates.overhead_seconds
        )


def measured_rates(size: Size) -> dict[str, float]:
    """`flops`, `copied_bytes` and `crossed_bytes` a second of a device while the processes of all devices work."""
    with tempfile.TemporaryDirectory() as folder:
        settings = {"size": size.devices, "folder": folder, "batch": size.batch_size, "dim": size.dim}
        processes = [
            subprocess.Popen(
                [sys.executable, "-m", "askagain.benchmarks.jobs", "rates", json.dumps({**settings, "rank": rank})],
                stdout=subprocess.PIPE,
                text=True,
            )
            for rank in range(size.devices)
        ]
        measured = [json.loads(process.communicate()[0].splitlines()[-1]) for process in processes]
    return {name: min(rates[name] for rates in measured) for name in measured[0]}


def measured_step(root: Path, size: Size, corpus: Path, cache: Path, steps: int) -> dict[str, float]:
    """Seconds of a step, its crossed bytes, and the peak memory of a process, measured in a run of train.py.

    A run of one step prepares the corpus first, so that the peak memory is that of training.
    """
    from askagain.benchmarks.subprocesses import run_process

    with tempfile.TemporaryDirectory(dir=cache) as run:
        overrides = [
            *("data=tsv", f"data.dir={corpus}", "experiment=dssm", "features=words", "preprocessor=none"),
            *("start=random", "preprocessor.lowercase=true", "data.pairs=star", "data.validation_fraction=0.0"),
            *(f"model.dim={size.dim}", f"data.batch_size={size.batch_size}"),
            *("trainer.accelerator=cpu", f"trainer.devices={size.devices}", f"features.max_words={size.vocabulary}"),
            *("callbacks.best_checkpoint=null", "callbacks.last_checkpoint=null", "ks=[1]"),
            *(f"hydra.run.dir={run}", f"paths.cache_dir={cache}", *_optimizer(size)),
        ]
        for count in (1, steps):
            finished = run_process([sys.executable, root / "train.py", *overrides, f"trainer.max_steps={count}"])
        metrics = json.loads((Path(run) / "metrics.json").read_text())
    return {
        "seconds": size.batch_size * size.devices / metrics["train/examples_per_second"],
        "crossed_bytes": metrics.get("train/bytes_crossed_per_step", 0.0),
        "peak_bytes": finished.peak_bytes,
        "vocabulary": metrics["data/known_words"],
    }


def _optimizer(size: Size) -> list[str]:
    if size.optimizer == "rowwise_adagrad_full":
        return ["optimizer.second_moment=full"]
    return [f"optimizer={size.optimizer}"]


def padded(dim: int) -> int:
    """The columns that products have where vectors have `dim`."""
    return -(-dim // WIDTH) * WIDTH


def distinct_words(tokens: int, vocabulary: int) -> int:
    """The expected number of distinct words among `tokens`, with the frequencies of `askagain.synthetic.scaled`."""
    concepts = 1 / (np.arange(max(1, vocabulary // WORDS_A_CONCEPT)) + 1.0 + ZIPF_SHIFT)
    words = np.outer([1 - SECOND_WORD_SHARE, SECOND_WORD_SHARE], concepts / concepts.sum())
    return round(float(-np.expm1(tokens * np.log1p(-words)).sum()))
