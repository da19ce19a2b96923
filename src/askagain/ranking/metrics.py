"""Metrics from ranks: Hits@K, MRR, DCG, MAP and the mean rank, for each query and averaged over queries.

Where candidates tie with a duplicate, `expected` averages a metric over all orders of the tied candidates, in closed
form. For MAP and DCG see McSherry and Najork, "Computing information retrieval performance measures efficiently in the
presence of tied scores", ECIR 2008.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from askagain.errors import InputError
from askagain.ranking.ranks import Ranks, level_starts

Metrics: TypeAlias = dict[str, float]  # values by name
OwnMetrics: TypeAlias = Mapping[str, Callable[[Ranks], np.ndarray]]  # by name, a function that gives each query a value

TIES = ("expected", "optimistic", "pessimistic")


def hits_at_k(ranks: Ranks, ks: Sequence[int], ties: str = "expected") -> Metrics:
    """Hits@K for each K: the share of queries with a duplicate among the first K candidates.

    `ties` says how candidates that tie with a duplicate count: `expected` (the mean over their orders), `optimistic`
    (below the duplicate) or `pessimistic` (above it). Raises InputError for other ties, and for a K below 1.

    Example:
        >>> import numpy as np
        >>> ranks = Ranks(above=np.array([0, 3, 0]), tied=np.array([0, 0, 1]))
        >>> hits_at_k(ranks, ks=[1, 5])
        {'hits@1': 0.5, 'hits@5': 1.0}
        >>> hits_at_k(ranks, ks=[2], ties="pessimistic")
        {'hits@2': 0.6666666666666666}
    """
    best = _levels(ranks, ties).best_of_each_query()
    return {f"hits@{k}": float(np.mean(_hits(best, k))) for k in ks}


def reciprocal_rank(ranks: Ranks, ties: str = "expected") -> np.ndarray:
    """1 / rank of the first duplicate of each query, [queries] float64; `ties` as in `hits_at_k`.

    Example:
        >>> import numpy as np
        >>> reciprocal_rank(Ranks(above=np.array([0, 3, 0]), tied=np.array([0, 0, 1]))).round(3).tolist()
        [1.0, 0.25, 0.75]
    """
    return _reciprocal_rank(_levels(ranks, ties).best_of_each_query())


def mean_reciprocal_rank(ranks: Ranks, ties: str = "expected") -> float:
    """MRR: the mean of `reciprocal_rank` over queries.

    Example:
        >>> import numpy as np
        >>> round(mean_reciprocal_rank(Ranks(above=np.array([0, 3]), tied=np.array([0, 0]))), 3)
        0.625
    """
    return float(np.mean(reciprocal_rank(ranks, ties)))


def compute_metrics(ranks: Ranks, ks: Sequence[int], ties: str = "expected", own: OwnMetrics | None = None) -> Metrics:
    """The means of `per_query_metrics` over queries, `median_rank`, and `ties`; takes and raises what that does.

    `ties` is the share of queries whose first duplicate is tied with a candidate that is no duplicate.

    Example:
        >>> import numpy as np
        >>> metrics = compute_metrics(Ranks(above=np.array([0, 3]), tied=np.array([0, 0])), ks=[1])
        >>> metrics["hits@1"], round(metrics["mrr"], 3), metrics["median_rank"], metrics["ties"]
        (0.5, 0.625, 2.5, 0.0)
    """
    per_query = per_query_metrics(ranks, ks, ties, own)
    means = {name: float(np.mean(values)) for name, values in per_query.items()}
    best = _unsettled_levels(ranks).best_of_each_query()
    tied = best.size > best.duplicates
    return means | {"median_rank": float(np.median(per_query["mean_rank"])), "ties": float(np.mean(tied))}


def per_query_metrics(
    ranks: Ranks, ks: Sequence[int], ties: str = "expected", own: OwnMetrics | None = None
) -> dict[str, np.ndarray]:
    """All metrics of each query, [queries] float64 by name; takes and raises what `hits_at_k` does.

    `own`: metrics of your own, which come last. InputError where one has the name of another metric, or gives something
    other than a number a query.

    `hits@K` for each K, `mrr` and `mean_rank` look at the duplicate ranked first. Where queries may have several
    duplicates (`ranks.row` is given), `ndcg@K` takes the place of `dcg@K`, and `map` is added; with one duplicate a
    query they would equal `dcg@K` and `mrr`.
    """
    levels = _levels(ranks, ties)
    best = levels.best_of_each_query()
    metrics = {f"hits@{k}": _hits(best, k) for k in ks}
    if ranks.row is None:
        metrics |= {f"dcg@{k}": _dcg(levels, k) for k in ks}
    else:
        metrics |= {f"ndcg@{k}": _dcg(levels, k) / _ideal_dcg(levels, k) for k in ks}
    metrics["mrr"] = _reciprocal_rank(best)
    if ranks.row is not None:
        metrics["map"] = _average_precision(levels)
    # The first of r things in a random order of n stands at place (n + 1) / (r + 1) on average.
    metrics["mean_rank"] = best.above + (best.size + 1) / (best.duplicates + 1)
    return metrics | {name: _own(name, function, ranks, metrics) for name, function in (own or {}).items()}


def _own(
    name: str, function: Callable[[Ranks], np.ndarray], ranks: Ranks, others: Mapping[str, np.ndarray]
) -> np.ndarray:
    if name in (*others, "median_rank", "ties", "seconds"):
        raise InputError(f"metrics.{name}: there is a metric of that name already; choose another")
    values = np.asarray(function(ranks), dtype=np.float64)
    shape = others["mrr"].shape
    if values.shape != shape:
        raise InputError(f"metrics.{name}: gives {values.shape}; a number for each query, {shape}, is needed")
    return values


@dataclass(frozen=True, eq=False)
class _Levels:
    """The levels of score that hold a duplicate: in the order of queries, and best first within a query.

    Each array is [levels] int64: `row` is the query; `above` counts the candidates that score higher, `before` the
    duplicates among them; `size` counts the candidates of this score, `duplicates` the duplicates among them.
    """

    row: np.ndarray
    above: np.ndarray
    size: np.ndarray
    duplicates: np.ndarray
    before: np.ndarray
    queries: int

    @property
    def last(self) -> int:
        """The last rank of a duplicate, beyond which no K makes a difference."""
        return int((self.above + self.size).max(initial=0))

    def best_of_each_query(self) -> "_Levels":
        if len(self.row) == self.queries:
            return self
        best = self.before == 0
        return _Levels(
            self.row[best], self.above[best], self.size[best], self.duplicates[best], self.before[best], self.queries
        )

    def sum_by_query(self, values: np.ndarray) -> np.ndarray:
        """Sums values of levels, [levels], to [queries]."""
        return np.bincount(self.row, weights=values, minlength=self.queries)


def _levels(ranks: Ranks, ties: str) -> _Levels:
    """The levels of each query, with ties settled as `ties` says."""
    if ties not in TIES:
        raise InputError(f"ties={ties}: not one of {', '.join(TIES)}")
    levels = _unsettled_levels(ranks)
    if ties == "expected":
        return levels
    above = levels.above if ties == "optimistic" else levels.above + levels.size - levels.duplicates
    return replace(levels, above=above, size=levels.duplicates)


def _unsettled_levels(ranks: Ranks) -> _Levels:
    if ranks.row is None:
        zeros, ones = np.zeros_like(ranks.above), np.ones_like(ranks.above)
        return _Levels(np.arange(len(ranks.above)), ranks.above, ranks.tied + 1, ones, zeros, len(ranks.above))
    order = np.lexsort((ranks.above, ranks.row))
    row, above = ranks.row[order], ranks.above[order]
    starts = level_starts(row, above)
    row_starts = np.searchsorted(row, row[starts])
    counts = np.diff(starts, append=len(row))
    return _Levels(
        row[starts], above[starts], ranks.tied[order][starts] + 1, counts, starts - row_starts, int(row[-1]) + 1
    )


def _hits(best: _Levels, k: int) -> np.ndarray:
    """The chance that a duplicate is among the first k: 1 - C(n - r, m) / C(n, m) for m of the n tied."""
    if k < 1:
        raise InputError(f"Hits@{k}: k must be 1 or more")
    taken = np.clip(min(k, best.last) - best.above, 0, best.size)
    missed = np.ones(len(taken))
    for i in range(int(best.duplicates.max(initial=0))):
        rows = best.duplicates > i
        left = best.size[rows] - i
        missed[rows] *= np.clip(left - taken[rows], 0, None) / left
    return 1 - missed


def _reciprocal_rank(best: _Levels) -> np.ndarray:
    """The mean of 1 / rank of the first duplicate over all orders of the tied."""
    harmonic = _cumulated(best.last, np.reciprocal)
    means = (harmonic[best.above + best.size] - harmonic[best.above]) / best.size
    for i in np.flatnonzero(best.duplicates > 1):
        places = np.arange(best.size[i] - best.duplicates[i] + 1)
        chances = _chances_of_first(int(best.size[i]), int(best.duplicates[i]))
        means[i] = (chances / (best.above[i] + 1 + places)).sum()
    return means


def _chances_of_first(size: int, duplicates: int) -> np.ndarray:
    """The chance that the first of r duplicates in a random order of n stands at place 0, 1, ..., [n - r + 1]."""
    places = np.arange(size - duplicates)
    ratios = (size - duplicates - places) / (size - 1 - places)  # C(n - 2 - j, r - 1) / C(n - 1 - j, r - 1)
    return duplicates / size * np.concatenate([[1.0], np.cumprod(ratios)])


def _average_precision(levels: _Levels) -> np.ndarray:
    """The mean over duplicates of the precision at their ranks."""
    harmonic = _cumulated(levels.last, np.reciprocal)
    inverse = harmonic[levels.above + levels.size] - harmonic[levels.above]  # sum of 1 / rank over the level
    # At the i-th place of a level, i - 1 others are ahead, of which (r - 1) / (n - 1) are duplicates on average.
    others = (levels.duplicates - 1) / np.maximum(levels.size - 1, 1) * (levels.size - (levels.above + 1) * inverse)
    precisions = levels.duplicates / levels.size * ((levels.before + 1) * inverse + others)
    return levels.sum_by_query(precisions) / levels.sum_by_query(levels.duplicates)


def _dcg(levels: _Levels, k: int) -> np.ndarray:
    """The sum over duplicates of 1 / log2(1 + rank); ranks beyond k add nothing."""
    k = min(k, levels.last)
    discounts = _cumulated(k, _discount)
    sums = discounts[np.minimum(levels.above + levels.size, k)] - discounts[np.minimum(levels.above, k)]
    return levels.sum_by_query(levels.duplicates / levels.size * sums)


def _ideal_dcg(levels: _Levels, k: int) -> np.ndarray:
    """The DCG of a query whose duplicates all come first."""
    k = min(k, levels.last)
    counts = levels.sum_by_query(levels.duplicates).astype(np.int64)
    return _cumulated(k, _discount)[np.minimum(counts, k)]


def _discount(ranks: np.ndarray) -> np.ndarray:
    return 1 / np.log2(1 + ranks)


def _cumulated(last: int, function: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Cumulative sums of `function` over the ranks 1 to `last`, [last + 1]; the first is 0."""
    return np.concatenate([[0.0], np.cumsum(function(np.arange(1.0, last + 1)))])
