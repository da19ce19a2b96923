"""`scripts/benchmark.py`: runs benchmarks and writes their table."""

import statistics
import tempfile
from datetime import date
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from askagain.apps.report import write_table
from askagain.benchmarks.suite import FLOOR, WORDS_A_BATCH, Benchmarks, Quality, Sizes
from askagain.benchmarks.table import COLUMNS, OURS, BenchmarkResult, rows_of
from askagain.machine import machine
from askagain.ranking.metrics import Metrics


def benchmark(cfg: DictConfig, root: Path) -> None:
    """Runs `cfg.benchmarks`; `root` is the folder of train.py.

    Raises InputError for a mistake in the config, and where a contender fails.
    """
    preprocessor: Any = OmegaConf.to_container(cfg.preprocessor)
    del preprocessor["_target_"]
    chosen = [cfg.benchmarks] if isinstance(cfg.benchmarks, str) else list(cfg.benchmarks)
    console = Console(stderr=True)
    cache_dir, out = Path(str(cfg.paths.cache_dir)), Path(str(cfg.out))
    results: list[BenchmarkResult] = []
    about: dict[str, Any] = {"measured": date.today().isoformat(), **machine()}
    cache_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="benchmark-", dir=cache_dir) as folder:
        console.print(f"corpus of {cfg.size.rows:,} rows, in {cache_dir}", highlight=False)
        benchmarks = Benchmarks(
            Sizes(**cfg.size),
            root,
            cache_dir,
            Path(folder).resolve(),
            preprocessor,
            None if cfg.peer_python is None else Path(str(cfg.peer_python)).absolute(),  # unresolved: it may be a link
            None if cfg.searched_corpus is None else Path(str(cfg.searched_corpus)),
            _quality(cfg.quality),
        )
        for name in chosen:
            results += benchmarks.benchmark(name).compare(
                cfg.size.rounds,
                lambda line, name=name: console.print(f"{name}, {line}", highlight=False),  # type: ignore[misc]
            )
        if "train" in chosen:
            about |= _beside_floor(benchmarks, results)
        if "trigram" in chosen:
            about |= _beside_word_floor(benchmarks, results)
    console.print("")
    jobs = [job.as_dict() for job in results]
    write_table(out / "benchmark", COLUMNS, rows_of(results), about, {"jobs": jobs})


def _quality(cfg: DictConfig) -> Quality | None:
    if cfg.corpus is None:
        return None
    tokenizer = None if cfg.peer_tokenizer is None else Path(str(cfg.peer_tokenizer)).absolute()
    return Quality(Path(str(cfg.corpus)).absolute(), cfg.mrr, cfg.distilled, tokenizer)


def _beside_floor(benchmarks: Benchmarks, results: list[BenchmarkResult]) -> dict[str, str]:
    """Compares our training step with its lower bound, see `askagain.benchmarks.jobs.floor`."""
    floor = _medians(benchmarks.floors)
    training = next(job for job in results if job.unit == "pairs/s")
    step, least = (benchmarks.sizes.batch_size / training.median(one) for one in (OURS, FLOOR))
    return {
        "a training step": f"{1e3 * step:.1f} ms, {step / least:.2f} times its floor of {1e3 * least:.1f} ms",
        "matrix products": f"{1e3 * floor['matmul_seconds']:.1f} ms at {floor['matmul_gflops']:.0f} GFLOP/s",
        "memory": _bytes_moved(floor),
    }


def _beside_word_floor(benchmarks: Benchmarks, results: list[BenchmarkResult]) -> dict[str, str]:
    """Compares a step of the trigram regressor with its lower bound, see `askagain.benchmarks.jobs.word_floor`."""
    training = next(job for job in results if job.unit == "words/s")
    step, ratio = WORDS_A_BATCH / training.median(OURS), training.median(FLOOR) / training.median(OURS)
    moved = _bytes_moved(_medians(benchmarks.word_floors))
    return {"a step of the trigram regressor": f"{1e3 * step:.2f} ms, {ratio:.2f} times its floor: {moved}"}


def _medians(rounds: list[Metrics]) -> Metrics:
    return {name: statistics.median(metrics[name] for metrics in rounds) for name in rounds[0]}


def _bytes_moved(floor: Metrics) -> str:
    return (
        f"{1e3 * floor['bytes_seconds']:.1f} ms for {floor['bytes'] / 1e6:.0f} MB "
        f"({floor['tokens']:,.0f} tokens, {floor['distinct_rows']:,.0f} distinct rows) "
        f"at {floor['copy_gb_per_second']:.0f} GB/s"
    )
