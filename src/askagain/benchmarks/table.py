"""The table of a benchmark: the median and the spread of each contender, and our speed-up over it."""

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

OURS = "askagain"


@dataclass(frozen=True)
class BenchmarkResult:
    """The measurements of one job.

    `values`: the measurements of each contender, ours among them, in `unit`. `more_is_better`: false for times.
    """

    job: str
    unit: str
    more_is_better: bool
    values: dict[str, list[float]]

    def median(self, contender: str) -> float:
        return statistics.median(self.values[contender])

    def ratio(self, contender: str) -> float:
        """How many times better our median is than the contender's."""
        ours, other = self.median(OURS), self.median(contender)
        return ours / other if self.more_is_better else other / ours

    def as_dict(self) -> dict[str, Any]:
        """All measurements, medians and ratios as JSON values."""
        medians = {contender: self.median(contender) for contender in self.values}
        ratios = {contender: self.ratio(contender) for contender in self.values if contender != OURS}
        return asdict(self) | {"medians": medians, "ratios": ratios}


COLUMNS = ("job", "contender", "median", "spread", "unit", "speed-up")


def rows_of(results: Sequence[BenchmarkResult]) -> list[tuple[str, ...]]:
    """A row of `COLUMNS` for each contender."""
    rows: list[tuple[str, ...]] = []
    for result in results:
        for contender, values in result.values.items():
            speed_up = "" if contender == OURS else f"{result.ratio(contender):.1f} x"
            spread = f"{_number(min(values))} to {_number(max(values))}"
            rows.append((result.job, contender, _number(result.median(contender)), spread, result.unit, speed_up))
    return rows


def _number(value: float) -> str:
    """Four significant digits, with thousands separators."""
    return f"{value:,.0f}" if value >= 1000 else f"{value:.4g}"
