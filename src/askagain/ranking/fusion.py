"""Adds up the scores of two rankers, each scaled by its spread over the candidates of a question."""

from collections.abc import Sequence

import numpy as np

WEIGHTS = (0.0, 0.03, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0, 2.0, 4.0)  # tried; 0 leaves the second ranker out
RERANKED = 50  # candidates that a large model orders again
KEPT = 0.3  # of the first ranker's score, added to that of the model
ROUNDED = 6  # digits of a cosine that count, so that equal vectors have equal scores


def z_scores(scores: np.ndarray, mean: float | None = None, deviation: float | None = None) -> np.ndarray:
    """Scores less their mean, over their standard deviation; 0 where all are equal.

    `mean`, `deviation`: those of all candidates, where `scores` are those of some (None: of `scores`).
    """
    mean = float(scores.mean()) if mean is None else mean
    deviation = float(scores.std()) if deviation is None else deviation
    return (scores - mean) / deviation if deviation > 0 else np.zeros_like(scores)


def fused(first: np.ndarray, second: np.ndarray, weight: float) -> np.ndarray:
    """The z-scores of the first ranker, plus `weight` times those of the second: [candidates] each."""
    return z_scores(first) + weight * z_scores(second)


def reciprocal_ranks(rows: Sequence[np.ndarray]) -> np.ndarray:
    """The reciprocal rank of the first candidate of each row, ties counted as `expected`; [rows]."""
    ranks = np.empty(len(rows))
    for row, scores in enumerate(rows):
        above, tied = int((scores > scores[0]).sum()), int((scores == scores[0]).sum()) - 1
        ranks[row] = np.mean(1 / np.arange(above + 1, above + tied + 2))
    return ranks


def best_weight(
    first: Sequence[np.ndarray], second: Sequence[np.ndarray], weights: Sequence[float] = WEIGHTS
) -> tuple[float, dict[float, float]]:
    """The weight with the highest MRR, the lower one of equals, and the MRR of each.

    `first`, `second`: the scores of the candidates of each row, of which the first is the right one.
    """
    by_weight = {
        weight: float(
            reciprocal_ranks([fused(one, other, weight) for one, other in zip(first, second, strict=True)]).mean()
        )
        for weight in weights
    }
    return max(by_weight, key=lambda weight: (by_weight[weight], -weight)), by_weight


def reranked(first: np.ndarray, model: np.ndarray, kept: float = KEPT) -> np.ndarray:
    """Scores in which the best candidates of the first ranker come first, in the order of a better model's scores.

    Args:
        first: [candidates] scores of the first ranker.
        model: [candidates] scores of the model for its best ones, nan for all others.
        kept: how much of the first ranker's score is added to the model's.
    """
    is_seen = ~np.isnan(model)
    scores = np.empty(len(first))
    scores[is_seen] = model[is_seen] + kept * first[is_seen]
    behind = scores[is_seen].min(initial=0.0) - 1 - first[~is_seen].max(initial=0.0)
    scores[~is_seen] = first[~is_seen] + behind
    return scores
