"""Figures from ranks: Hits@K, DCG, MRR, MAP, rank, each first for every row and then as the mean; and ties.

Where candidates tie with a duplicate, `expected` is the mean over all orders of the tied, in closed form. For MAP and
DCG see McSherry and Najork, "Computing information retrieval performance measures efficiently in the presence of tied
scores", ECIR 2008.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from askagain.errors import InputError
from askagain.ranking.ranks import Ranks

TIES = ("expected", "optimistic", "pessimistic")


def compute_metrics(ranks: Ranks, ks: Sequence[int], ties: str = "expected") -> dict[str, float]:
    """The means over rows of `per_query_metrics`, `median_rank`, and `ties`, the share of rows with a tie.

    A row has a tie where a candidate that is no duplicate is tied with the duplicate that is ranked first.
    """
    rows = per_query_metrics(ranks, ks, ties)
    found = {name: float(np.mean(values)) for name, values in rows.items()}
    return found | {"median_rank": float(np.median(rows["mean_rank"])), "ties": float(np.mean(_first(ranks).tied > 0))}


def per_query_metrics(ranks: Ranks, ks: Sequence[int], ties: str = "expected") -> dict[str, np.ndarray]:
    """The figures of every row, [rows] float64 each, by the name that their mean has.

    `hits@K` and `dcg@K` for each K, `mrr` and `mean_rank`, which are those of the duplicate that is ranked first. Where
    rows may have several duplicates (`ranks.row` is given), `ndcg@K` stands in the place of `dcg@K`, and `map` is
    there as well; with one duplicate a row they would be `dcg@K` and `mrr` again.
    Raises InputError for an unknown choice of `ties`, and for k below 1.
    """
    check_ks(ks)
    levels = _levels(ranks, ties)
    first = levels.first()
    found = {f"hits@{k}": _hits(first, k) for k in ks}
    if ranks.row is None:
        found |= {f"dcg@{k}": _dcg(levels, k) for k in ks}
    else:
        found |= {f"ndcg@{k}": _dcg(levels, k) / _ideal_dcg(levels, k) for k in ks}
    found["mrr"] = _reciprocal_rank(first)
    if ranks.row is not None:
        found["map"] = _average_precision(levels)
    # The first of r things in a random order of n stands at place (n + 1) / (r + 1) on average.
    found["mean_rank"] = first.above + (first.size + 1) / (first.duplicates + 1)
    return found


def check_ties(ties: str) -> None:
    """Raises InputError where `ties` is not one of `TIES`."""
    if ties not in TIES:
        raise InputError(f"ties={ties}: not one of {', '.join(TIES)}")


def check_ks(ks: Sequence[int]) -> None:
    """Raises InputError for a k below 1."""
    for k in ks:
        if k < 1:
            raise InputError(f"Hits@{k}: k must be 1 or more")


@dataclass(frozen=True, eq=False)
class _Levels:
    """Candidates of one score, in rows' order and best first; only levels with a duplicate. All [levels] int64.

    `row`; `above`: candidates that score higher; `size`: candidates at this level, of which `duplicates` are
    duplicates; `before`: how many duplicates score higher. `rows`: how many rows there are.
    """

    row: np.ndarray
    above: np.ndarray
    size: np.ndarray
    duplicates: np.ndarray
    before: np.ndarray
    rows: int

    def first(self) -> "_Levels":
        """The best level of each row."""
        if len(self.row) == self.rows:
            return self
        best = self.before == 0
        return _Levels(
            self.row[best], self.above[best], self.size[best], self.duplicates[best], self.before[best], self.rows
        )

    def sum_by_row(self, values: np.ndarray) -> np.ndarray:
        """[levels] to [rows]."""
        return np.bincount(self.row, weights=values, minlength=self.rows)


def _levels(ranks: Ranks, ties: str) -> _Levels:
    """The levels of each row; with another choice than `expected`, the tied settled as it says."""
    check_ties(ties)
    levels = _as_they_are(ranks)
    if ties == "expected":
        return levels
    above = levels.above if ties == "optimistic" else levels.above + levels.size - levels.duplicates
    return _Levels(levels.row, above, levels.duplicates, levels.duplicates, levels.before, levels.rows)


def _as_they_are(ranks: Ranks) -> _Levels:
    if ranks.row is None:
        none, one = np.zeros_like(ranks.above), np.ones_like(ranks.above)
        return _Levels(np.arange(len(ranks.above)), ranks.above, ranks.tied + 1, one, none, len(ranks.above))
    order = np.lexsort((ranks.above, ranks.row))
    row, above = ranks.row[order], ranks.above[order]
    begins = np.ones(len(row), dtype=bool)
    begins[1:] = (row[1:] != row[:-1]) | (above[1:] != above[:-1])
    starts = np.flatnonzero(begins)
    row_starts = np.searchsorted(row, row[starts])
    counts = np.diff(starts, append=len(row))
    return _Levels(
        row[starts], above[starts], ranks.tied[order][starts] + 1, counts, starts - row_starts, int(row[-1]) + 1
    )


def _first(ranks: Ranks) -> Ranks:
    """The best duplicate of each row, and how many that are no duplicates are tied with it."""
    first = _as_they_are(ranks).first()
    return Ranks(first.above, first.size - first.duplicates)


def _hits(first: _Levels, k: int) -> np.ndarray:
    """The chance that a duplicate is among the first k: 1 - C(n - r, m) / C(n, m) for m of the n tied."""
    taken = np.clip(k - first.above, 0, first.size)
    missed = np.ones(len(taken))
    for i in range(int(first.duplicates.max(initial=0))):
        these = first.duplicates > i
        left = first.size[these] - i
        missed[these] *= np.clip(left - taken[these], 0, None) / left
    return 1 - missed


def _reciprocal_rank(first: _Levels) -> np.ndarray:
    """The mean of 1 / rank of the first duplicate over all orders of the tied."""
    harmonic = _sums_up_to(int((first.above + first.size).max(initial=0)), np.reciprocal)
    found = (harmonic[first.above + first.size] - harmonic[first.above]) / first.size
    for i in np.flatnonzero(first.duplicates > 1):
        places = np.arange(first.size[i] - first.duplicates[i] + 1)
        chances = _chances_of_first(int(first.size[i]), int(first.duplicates[i]))
        found[i] = (chances / (first.above[i] + 1 + places)).sum()
    return found


def _chances_of_first(size: int, duplicates: int) -> np.ndarray:
    """The chance that the first of r duplicates in a random order of n stands at place 0, 1, ..., [n - r + 1]."""
    places = np.arange(size - duplicates)
    stays = (size - duplicates - places) / (size - 1 - places)  # what C(n - 1 - j, r - 1) is multiplied by from j on
    return duplicates / size * np.concatenate([[1.0], np.cumprod(stays)])


def _average_precision(levels: _Levels) -> np.ndarray:
    """The mean over duplicates of the precision at their ranks."""
    harmonic = _sums_up_to(int((levels.above + levels.size).max(initial=0)), np.reciprocal)
    inverse = harmonic[levels.above + levels.size] - harmonic[levels.above]  # sum of 1 / rank over the level
    # At the i-th place of a level, i - 1 others are ahead, of which (r - 1) / (n - 1) are duplicates on average.
    others = (levels.duplicates - 1) / np.maximum(levels.size - 1, 1) * (levels.size - (levels.above + 1) * inverse)
    found = levels.duplicates / levels.size * ((levels.before + 1) * inverse + others)
    return levels.sum_by_row(found) / levels.sum_by_row(levels.duplicates)


def _dcg(levels: _Levels, k: int) -> np.ndarray:
    """The sum over duplicates of 1 / log2(1 + rank), ranks beyond k counting nothing."""
    discounts = _sums_up_to(k, _discount)
    sums = discounts[np.minimum(levels.above + levels.size, k)] - discounts[np.minimum(levels.above, k)]
    return levels.sum_by_row(levels.duplicates / levels.size * sums)


def _ideal_dcg(levels: _Levels, k: int) -> np.ndarray:
    """The DCG of a row whose duplicates all come first."""
    counts = levels.sum_by_row(levels.duplicates).astype(np.int64)
    return _sums_up_to(k, _discount)[np.minimum(counts, k)]


def _discount(ranks: np.ndarray) -> np.ndarray:
    return 1 / np.log2(1 + ranks)


def _sums_up_to(last: int, of_rank: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """What `of_rank` gives for ranks from 1 on, summed up: [last + 1], the first of them 0."""
    return np.concatenate([[0.0], np.cumsum(of_rank(np.arange(1.0, last + 1)))])
