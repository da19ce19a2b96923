"""How sure figures are: bootstrap intervals of means over rows, and paired comparisons of two rankers."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

DRAWN_AT_A_TIME = 1 << 22  # rows: bounds the memory


def intervals(
    rows: Mapping[str, np.ndarray], confidence: float, resamples: int, seed: int
) -> dict[str, tuple[float, float]]:
    """The percentile bootstrap interval of the mean of each figure: rows are drawn anew `resamples` times.

    `rows`: [rows] values by name, as of `askagain.ranking.metrics.per_query_metrics`; the same rows are drawn for all.
    """
    values = np.stack(list(rows.values()))  # [figures, rows]
    count = values.shape[1]
    rng = np.random.default_rng(seed)
    means = np.empty((resamples, len(values)))
    block = max(1, DRAWN_AT_A_TIME // count)
    for start in range(0, resamples, block):
        # How often each row is drawn gives the same means as the rows themselves.
        times = rng.multinomial(count, np.full(count, 1 / count), size=min(block, resamples - start))
        means[start : start + block] = times @ values.T / count
    tail = (1 - confidence) / 2
    low, high = np.quantile(means, [tail, 1 - tail], axis=0)
    return {name: (float(low[i]), float(high[i])) for i, name in enumerate(rows)}


def with_intervals(figures: Mapping[str, float], intervals: Mapping[str, tuple[float, float]]) -> dict[str, float]:
    """The figures, those with an interval followed by its ends as `NAME_low` and `NAME_high`."""
    found = {}
    for name, value in figures.items():
        found[name] = value
        if name in intervals:
            found[f"{name}_low"], found[f"{name}_high"] = intervals[name]
    return found


@dataclass(frozen=True)
class Comparison:
    """Two rankers on the same rows. `wins`: rows in which the first has the higher value; `p`: the chance of a mean
    difference as large as this one, in either direction, if neither were better.
    """

    wins: int
    losses: int
    ties: int
    difference: float
    p: float


def compare(first: np.ndarray, second: np.ndarray, resamples: int, seed: int) -> Comparison:
    """Compares the values that two rankers have in the same rows, [rows] each, by a permutation test.

    In each row it is drawn which of the two values is whose: every way of it where there are no more than `resamples`,
    else so many at random.
    """
    from scipy.stats import permutation_test  # takes long to import

    rows = len(first)
    result = permutation_test(
        (first, second),
        lambda one, other, axis: (one - other).mean(axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=resamples,
        batch=max(1, DRAWN_AT_A_TIME // rows),
        rng=np.random.default_rng(seed),
    )
    wins, losses = int((first > second).sum()), int((first < second).sum())
    return Comparison(wins, losses, rows - wins - losses, float(result.statistic), float(result.pvalue))
