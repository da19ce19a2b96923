"""A benchmark: what it measures and its contenders, which run in turn."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from askagain.benchmarks.table import BenchmarkResult
from askagain.ranking.metrics import Metrics


class Measure(NamedTuple):
    """A measured quantity: its name, its unit, and whether more is better."""

    name: str
    unit: str
    more_is_better: bool


@dataclass(frozen=True)
class Benchmark:
    """Measures by key, and contenders by name: functions that run once and give the values of some keys."""

    measures: dict[str, Measure]
    contenders: dict[str, Callable[[], Metrics]]

    def compare(self, rounds: int, report: Callable[[str], None]) -> list[BenchmarkResult]:
        """Runs all contenders in turn, `rounds` times; calls `report` before each run."""
        runs: dict[str, list[Metrics]] = {name: [] for name in self.contenders}
        for number in range(rounds):
            for name, run in self.contenders.items():
                report(f"round {number + 1} of {rounds}: {name}")
                runs[name].append(run())
        return [
            BenchmarkResult(*measure, {name: [one[key] for one in own] for name, own in runs.items() if key in own[0]})
            for key, measure in self.measures.items()
        ]
