"""Figures from ranks: Hits@K, the mean reciprocal rank, and how many rows had a tie."""

from collections.abc import Iterable

import numpy as np

from askagain.errors import InputError
from askagain.ranking.ranks import Ranks

TIES = ("expected", "optimistic", "pessimistic")


def figures(ranks: Ranks, ks: Iterable[int], ties: str = "expected") -> dict[str, float]:
    """`hits@K` for each K, `mrr`, and `ties`, the share of rows in which a candidate is tied with the duplicate."""
    result = {f"hits@{k}": hits_at_k(ranks, k, ties) for k in ks}
    return result | {"mrr": mean_reciprocal_rank(ranks, ties), "ties": float(np.mean(ranks.tied > 0))}


def hits_at_k(ranks: Ranks, k: int, ties: str = "expected") -> float:
    """The share of rows whose duplicate is among the first `k`.

    With `a` candidates above the duplicate and `t` tied, `optimistic` counts a row if a < k (ties favour the
    duplicate), `pessimistic` if a + t < k, and `expected` counts clip((k - a) / (t + 1), 0, 1), the mean over all
    orders of the tied. Raises InputError for another word, and for k below 1.
    """
    if k < 1:
        raise InputError(f"Hits@{k}: k must be 1 or more")
    above, tied = _resolve(ranks, ties)
    return float(np.mean(np.clip((k - above) / (tied + 1), 0, 1)))


def mean_reciprocal_rank(ranks: Ranks, ties: str = "expected") -> float:
    """The mean of 1 / rank; with `expected` ties, of the mean of 1 / (a + 1 + j) for j = 0..t.

    Raises InputError for an unknown choice of `ties`.
    """
    above, tied = _resolve(ranks, ties)
    harmonic = np.concatenate([[0.0], np.cumsum(1 / np.arange(1, (above + tied).max(initial=0) + 2))])
    return float(np.mean((harmonic[above + tied + 1] - harmonic[above]) / (tied + 1)))


def _resolve(ranks: Ranks, ties: str) -> tuple[np.ndarray, np.ndarray]:
    """Above and tied, the tied settled where `ties` says to favour or to disfavour the duplicate."""
    none = np.zeros_like(ranks.tied)
    if ties == "expected":
        return ranks.above, ranks.tied
    if ties == "optimistic":
        return ranks.above, none
    if ties == "pessimistic":
        return ranks.above + ranks.tied, none
    raise InputError(f"ties={ties}: not one of {', '.join(TIES)}")


def check_ties(ties: str) -> None:
    """Raises InputError where `ties` is not one of `TIES`."""
    _resolve(Ranks(np.zeros(0), np.zeros(0)), ties)
