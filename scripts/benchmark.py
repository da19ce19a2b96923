"""Benchmarks the commands against other ways of doing the same: `python scripts/benchmark.py size=full`."""

import sys
from pathlib import Path

import hydra
from omegaconf import DictConfig

from askagain.apps.command import one_line_errors, run

ROOT = Path(__file__).resolve().parent.parent
LIST = "benchmarks="


@hydra.main(version_base="1.3", config_path="../configs", config_name="benchmark")
@one_line_errors
def main(cfg: DictConfig) -> None:
    """Runs the benchmarks and writes their table."""
    from askagain.apps.benchmark import benchmark

    benchmark(cfg, ROOT)


if __name__ == "__main__":
    # Hydra takes a bare comma for a sweep over several values; benchmarks= takes a list.
    sys.argv = [
        f"{LIST}[{argument[len(LIST) :]}]" if argument.startswith(LIST) and "[" not in argument else argument
        for argument in sys.argv
    ]
    run(main)
