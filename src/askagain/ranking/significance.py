"""How sure metrics are: bootstrap intervals of means over queries, and paired comparisons of two rankers."""

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np

DRAWS_PER_BLOCK = 1 << 22  # queries drawn at a time: bounds the memory
MANY_QUERIES = 2_000  # of which those with equal values are drawn together
SMALLEST_P = 0.001  # that is written out


def intervals(
    per_query: Mapping[str, np.ndarray],
    confidence: float,
    resamples: int,
    seed: int,
    draws_per_block: int = DRAWS_PER_BLOCK,
) -> dict[str, tuple[float, float]]:
    """The percentile bootstrap interval of the mean of each metric.

    Args:
        per_query: [queries] values by name, as `per_query_metrics` gives them; all metrics share the drawn queries.
        confidence: the share of intervals that hold the true mean, such as 0.95.
        resamples: how many times the queries are drawn with replacement.
        seed: of the draws.
        draws_per_block: queries drawn at a time; bounds the memory.

    Returns:
        The low and the high end by name.
    """
    values = np.stack(list(per_query.values()))  # [metrics, queries]
    count = values.shape[1]
    alike: np.ndarray = np.ones(count)
    if count >= MANY_QUERIES:  # there are few different ranks
        values, alike = np.unique(values, axis=1, return_counts=True)
    rng = np.random.default_rng(seed)
    means = np.empty((resamples, len(values)))
    block = max(1, draws_per_block // len(alike))
    for start in range(0, resamples, block):
        # How often each query is drawn gives the same means as the drawn queries themselves.
        times = rng.multinomial(count, alike / count, size=min(block, resamples - start))
        means[start : start + block] = times @ values.T / count
    tail = (1 - confidence) / 2
    low, high = np.quantile(means, [tail, 1 - tail], axis=0)
    return {name: (float(low[i]), float(high[i])) for i, name in enumerate(per_query)}


def interval_of_moments(mean: float, mean_square: float, count: int, confidence: float) -> tuple[float, float]:
    """An interval of the mean of values from 0 to 1, without drawing any: for the many figures of a training's epochs.

    Half of z squared is added to the values as zeros and half as ones, and the normal interval of all is taken, so that
    no interval has the width 0. Of zeros and ones it is that of Agresti and Coull, "Approximate is better than exact
    for interval estimation of binomial proportions", 1998.

    Args:
        mean: of the values.
        mean_square: the mean of their squares.
        count: how many there are.
        confidence: the share of intervals that hold the true mean, such as 0.95.

    Returns:
        The low and the high end, within 0 and 1.

    Example:
        >>> low, high = interval_of_moments(0.9, 0.9, count=100, confidence=0.95)
        >>> round(low, 3), round(high, 3)
        (0.824, 0.947)
    """
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    weight = count + z**2
    centre = (count * mean + z**2 / 2) / weight
    variance = (count * mean_square + z**2 / 2) / weight - centre**2
    half = z * (variance / weight) ** 0.5
    return max(0.0, centre - half), min(1.0, centre + half)


def with_intervals(metrics: Mapping[str, float], intervals: Mapping[str, tuple[float, float]]) -> dict[str, float]:
    """The metrics, each followed by the ends of its interval, `NAME_low` and `NAME_high`, where it has one."""
    merged = {}
    for name, value in metrics.items():
        merged[name] = value
        if name in intervals:
            merged[f"{name}_low"], merged[f"{name}_high"] = intervals[name]
    return merged


@dataclass(frozen=True)
class Comparison:
    """Two rankers on the same queries.

    `wins`: queries where the first has the higher value. `p`: the chance of a mean difference this large, in either
    direction, if neither ranker were better.
    """

    wins: int
    losses: int
    ties: int
    difference: float
    p: float

    @property
    def p_text(self) -> str:
        """`p` in two digits, or what it is below."""
        return f"< {SMALLEST_P:g}" if self.p < SMALLEST_P else f"{self.p:.2g}"


def compare(first: np.ndarray, second: np.ndarray, resamples: int, seed: int) -> Comparison:
    """Compares a metric of two rankers on the same queries, [queries] each, by a paired permutation test.

    The two values of a query are swapped at random, which changes the sign of their difference: in every possible way
    where there are at most `resamples` ways, else in `resamples` random ones.
    """
    from scipy.stats import monte_carlo_test, permutation_test  # takes long to import

    differences, queries = first - second, len(first)
    wins, losses = int((differences > 0).sum()), int((differences < 0).sum())
    rng = np.random.default_rng(seed)
    settings: dict[str, Any] = {
        "statistic": lambda signed, axis: signed.mean(axis=axis),
        "vectorized": True,
        "n_resamples": resamples,
        "batch": max(1, DRAWS_PER_BLOCK // queries),
    }
    if queries == 1:  # swapping its values tells nothing
        p = 1.0
    elif 2**queries <= resamples:
        p = permutation_test((differences,), permutation_type="samples", **settings).pvalue
    else:  # with signs drawn as small integers it takes a fifth of the time of `permutation_test`

        def swapped(size: tuple[int, ...]) -> np.ndarray:
            return np.where(rng.integers(0, 2, size, dtype=np.int8), differences, -differences)

        p = monte_carlo_test(differences, swapped, **settings).pvalue
    return Comparison(wins, losses, queries - wins - losses, float(differences.mean()), float(p))
