"""`scripts/sizing.py`: the cost of training at several sizes, predicted and measured."""

import os
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

from omegaconf import DictConfig
from rich.console import Console

from askagain.apps.report import write_table
from askagain.benchmarks.training_cost import Rates, Size, Step, measured_rates, measured_step
from askagain.corpus.cache import Cache
from askagain.machine import machine
from askagain.synthetic.scaled import cached_scaled

COLUMNS = (
    *("vocabulary", "dim", "batch a device", "devices", "optimizer", "memory a device", "crosses in a step"),
    *("dense all-reduce", "pairs/s, predicted", "pairs/s, measured", "crosses, measured", "memory, measured"),
)
SMALL = Size(vocabulary=1000, dim=16, batch_size=8, devices=1)  # a step of pure overhead
SMALL_ROWS = 2000
MEMORY_SHARE = 0.6  # of the machine that a run may take


def sizing(cfg: DictConfig, root: Path) -> None:
    """Predicts the cost of every size in `cfg.sizes` and, with `cfg.measure`, runs it; `root` has train.py.

    Raises InputError for a mistake in the config, and where a run fails.
    """
    sizes = [Size(*size) for size in cfg.sizes]
    console = Console(stderr=True)
    cache_dir, out = Path(str(cfg.paths.cache_dir)).resolve(), Path(str(cfg.out))
    cache_dir.mkdir(parents=True, exist_ok=True)
    rates: dict[tuple[int, int], Rates] = {}
    rows: list[dict[str, Any]] = []
    baseline = None
    for size in sizes:
        runs_here = size.devices <= (os.cpu_count() or 1)
        devices = size.devices if runs_here else os.cpu_count() or 1  # the rates of more devices would be the same
        shape = (devices, size.dim)
        if shape not in rates:
            console.print(f"rates of {devices} devices, dim {size.dim}", highlight=False)
            small = replace(SMALL, devices=devices)
            step = measured_step(root, small, _corpus(cache_dir, small, SMALL_ROWS), cache_dir, cfg.steps)
            baseline = baseline or step["peak_bytes"]
            measured = measured_rates(replace(size, devices=devices))
            rates[shape] = Rates(overhead_seconds=step["seconds"], **({"crossed_bytes": 1.0} | measured))
        counted = Step(size, cfg.tokens_a_pair, cfg.rare_words_a_pair)
        row: dict[str, Any] = {
            "size": vars(size),
            "memory_bytes": counted.memory_bytes,
            "crossed_bytes": counted.crossed_bytes,
            "dense_bytes": counted.dense_bytes,
            "pairs_per_second": counted.pairs / counted.seconds(rates[shape]),
        }
        if runs_here and cfg.measure and size.devices * counted.memory_bytes < MEMORY_SHARE * _memory():
            console.print(f"run of {size}", highlight=False)
            corpus = _corpus(cache_dir, size, cfg.rows)
            row["measured"] = measured_step(root, size, corpus, cache_dir, cfg.steps)
            row["measured"]["own_bytes"] = row["measured"]["peak_bytes"] - baseline
        rows.append(row)
    about = {"measured": date.today().isoformat(), **machine()} | {
        f"rates of a device, {devices} at work, dim {dim}": _readable(rate, devices)
        for (devices, dim), rate in rates.items()
    }
    write_table(out / "sizing", COLUMNS, [_cells(row) for row in rows], about, {"sizes": rows})


def _corpus(cache_dir: Path, size: Size, rows: int) -> Path:
    settings = {"rows": rows, "vocabulary": size.vocabulary, "validation_rows": 20, "candidates": 11, "pool": 100}
    return cached_scaled(Cache(cache_dir), **settings)


def _memory() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _readable(rates: Rates, devices: int) -> str:
    reduced = f"{rates.crossed_bytes / 1e9:.2f} GB/s all_reduce, " if devices > 1 else ""
    return (
        f"{rates.flops / 1e9:.0f} GFLOP/s, {rates.copied_bytes / 1e9:.1f} GB/s copied, "
        f"{reduced}{1e3 * rates.overhead_seconds:.1f} ms overhead a step"
    )


def _cells(row: dict[str, Any]) -> list[str]:
    size, measured = row["size"], row.get("measured", {})
    pairs = size["batch_size"] * size["devices"]
    return [
        f"{measured.get('vocabulary', size['vocabulary']):,.0f}",
        *(f"{size[name]:,}" for name in ("dim", "batch_size", "devices")),
        size["optimizer"],
        *(_megabytes(row[name]) for name in ("memory_bytes", "crossed_bytes", "dense_bytes")),
        f"{row['pairs_per_second']:,.0f}",
        f"{pairs / measured['seconds']:,.0f}" if measured else "",
        _megabytes(measured["crossed_bytes"]) if measured else "",
        _megabytes(measured["own_bytes"]) if measured else "",
    ]


def _megabytes(count: float) -> str:
    return f"{count / 1e6:,.1f} MB"
