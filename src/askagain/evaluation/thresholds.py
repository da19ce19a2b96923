"""From cosines to decisions: precision and recall by threshold, and the probability of being a duplicate.

Both depend on how many texts a question is compared with, since each of them is a chance of a false alarm. Figures are
for a question, its duplicate and so many `others`, as the rows of a ranking set are. Duplicates that nobody has
labelled count as false alarms: precision and probabilities are rather too low than too high.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from askagain.errors import InputError
from askagain.evaluation.pair_scores import BINS, PairCounts
from askagain.files.json_files import read_sealed_json, write_sealed_json

FILE = "threshold.json"  # in an encoder folder
FORMAT = 1
FOLDS = 5
USUAL_PRECISION = 0.7
STEPS = 100  # thresholds between 0 and 1
UNSEEN = 0.5  # pairs added to those above a threshold, so that none seen is not taken for none
SHOWN_FROM = 0.01  # probability of the pairs that a reliability is measured on
METHODS = ("isotonic", "platt")
EDGES = np.linspace(0, 1, 11)  # of the bins of a reliability diagram
SMALLEST = 1e-9


@dataclass(frozen=True)
class ThresholdRow:
    """What a threshold gives; `*_low` and `*_high` are ends of 95 % intervals over groups."""

    threshold: float
    precision: float
    precision_low: float
    precision_high: float
    recall: float
    recall_low: float
    recall_high: float
    f1: float
    f1_low: float
    f1_high: float


@dataclass(frozen=True, eq=False)
class Thresholds:
    """What was learned from labelled groups.

    Args:
        threshold: The cosine from which on a pair is taken for duplicates.
        scores: [points] rising cosines, and `probabilities` at them, between which lines are drawn.
        probabilities: Of being a duplicate, for a question, its duplicate and `others`.
        others: How many texts a question is compared with beside its duplicate.
        facts: Further figures, by name.
    """

    threshold: float
    scores: list[float]
    probabilities: list[float]
    others: int
    facts: Mapping[str, Any]

    def probability(self, scores: np.ndarray) -> np.ndarray:
        """The probability of being a duplicate of pairs with these cosines."""
        return np.interp(scores, self.scores, self.probabilities)

    def save(self, folder: Path) -> Path:
        """Writes `threshold.json` into an encoder folder, and returns its path."""
        write_sealed_json(folder / FILE, {"format": FORMAT, **asdict(self)})
        return folder / FILE

    @classmethod
    def load(cls, folder: Path) -> "Thresholds | None":
        """What `save` wrote into an encoder folder; None where nothing is there, InputError where it is damaged."""
        if not (folder / FILE).is_file():
            return None
        try:
            content = read_sealed_json(folder / FILE)
            if content.pop("format") != FORMAT:
                raise ValueError("another format")
            learned = cls(**content)
            numbers = np.array([learned.threshold, *learned.scores, *learned.probabilities], dtype=float)
            if len(learned.scores) != len(learned.probabilities) or not len(learned.scores):
                raise ValueError("numbers are missing")
            if not ((numbers >= 0) & (numbers <= 1)).all() or (np.diff(learned.scores) < 0).any():
                raise ValueError("numbers out of range")
            return learned
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(f"{folder / FILE}: damaged ({error}); run askagain threshold again") from error


def learn_thresholds(
    counts: PairCounts, others: int, precision: float | None = None, seed: int = 0
) -> tuple[Thresholds, list[ThresholdRow]]:
    """Learns from counted pairs what cosines mean.

    Args:
        counts: of labelled groups.
        others: how many texts a question is compared with beside its duplicate.
        precision: that the threshold must have (None: `USUAL_PRECISION`, or the highest there is).
        seed: of the folds and of the resamples.

    Returns:
        What was learned, and a row for each threshold.

    Raises:
        InputError: no threshold has the precision.
    """
    rows = _rows(counts, others, seed)
    method, losses = _better_method(counts, others, seed)
    scores, probabilities = _calibrated(counts, others, method)
    facts = {"wanted": precision or USUAL_PRECISION, "method": method, "log_loss": losses}
    return Thresholds(_chosen(rows, precision).threshold, scores, probabilities, others, facts), rows


def _chosen(rows: list[ThresholdRow], precision: float | None) -> ThresholdRow:
    best = max(rows, key=lambda row: (row.precision, row.recall) if row.recall > 0 else (0.0, 0.0))
    wanted = USUAL_PRECISION if precision is None else precision
    enough = [row for row in rows if row.precision >= wanted and row.recall > 0]
    if not enough and precision is None:
        return best
    if not enough:
        raise InputError(
            f"--precision {precision:g}: no threshold has it; the highest is {best.precision:.2f} at "
            f"{best.threshold:.2f}, which finds {best.recall:.1%} of the duplicates"
        )
    return enough[0]


@dataclass(frozen=True)
class Reliability:
    """Whether probabilities are what they say, on pairs with a probability of `SHOWN_FROM` or more.

    `predicted`, `actual`, `weights`: of each bin of probabilities with pairs in it. `error`: the expected calibration
    error, the mean distance of predicted and actual, weighted. Source: Naeini et al., "Obtaining Well Calibrated
    Probabilities Using Bayesian Binning", 2015.
    """

    predicted: list[float]
    actual: list[float]
    weights: list[float]
    error: float


def reliability(learned: Thresholds, counts: PairCounts) -> Reliability:
    """Compares probabilities with labelled pairs of groups that they were not learned from."""
    own, others = (part.sum(axis=0) for part in _weights(counts, learned.others))
    probabilities = learned.probability(_middles())
    places = np.clip(np.digitize(probabilities, EDGES) - 1, 0, len(EDGES) - 2)
    predicted, actual, weights = [], [], []
    for place in range(len(EDGES) - 1):
        inside = (places == place) & (probabilities >= SHOWN_FROM)
        weight = float((own + others)[inside].sum())
        if weight:
            predicted.append(float(((own + others) * probabilities)[inside].sum() / weight))
            actual.append(float(own[inside].sum() / weight))
            weights.append(weight)
    share = np.array(weights) / sum(weights) if weights else np.zeros(0)
    error = float(np.abs(np.array(predicted) - np.array(actual)) @ share)
    return Reliability(predicted, actual, share.tolist(), error)


def cross_fitted_reliability(counts: PairCounts, learned: Thresholds, seed: int = 0) -> Reliability:
    """The reliability of probabilities for groups that were held out of learning them, each in turn."""
    parts = []
    for rest, held_out in _folds(len(counts), seed):
        scores, probabilities = _calibrated(counts.take(rest), learned.others, str(learned.facts["method"]))
        one = replace(learned, scores=scores, probabilities=probabilities)
        parts.append(reliability(one, counts.take(held_out)))
    predicted, actual, weights = (
        np.array([number for part in parts for number in getattr(part, name)])
        for name in ("predicted", "actual", "weights")
    )
    bins = np.clip(np.digitize(predicted, EDGES) - 1, 0, len(EDGES) - 2)
    sums = np.stack([np.bincount(bins, numbers * weights) for numbers in (predicted, actual, np.ones(len(bins)))])
    predicted, actual = sums[:2, sums[2] > 0] / sums[2, sums[2] > 0]
    share = sums[2, sums[2] > 0] / sums[2].sum()
    return Reliability(predicted.tolist(), actual.tolist(), share.tolist(), float(np.abs(predicted - actual) @ share))


def _middles() -> np.ndarray:
    return (np.arange(BINS) + 0.5) / BINS


def _weights(counts: PairCounts, others: int) -> tuple[np.ndarray, np.ndarray]:
    """Pairs that a question of each group has, by score: 1 of duplicates and `others`; [groups, BINS] each."""
    compared = counts.members * (counts.collection - counts.members)
    own = counts.duplicates / np.maximum(counts.duplicates.sum(axis=1, keepdims=True), 1)
    return own, others * counts.others / np.maximum(compared, 1)[:, np.newaxis]


def _rates(counts: np.ndarray) -> np.ndarray:
    """The sums at or above each threshold: [..., BINS] gives [..., STEPS + 1]."""
    above = np.cumsum(counts[..., ::-1], axis=-1)[..., ::-1]
    return np.concatenate([above[..., :: BINS // STEPS], counts[..., -1:]], axis=-1)  # 1 is in the last bin


def _rows(counts: PairCounts, others: int, seed: int, resamples: int = 500) -> list[ThresholdRow]:
    """A row for each threshold, with percentile bootstrap intervals over groups."""
    own, false = _weights(counts, others)
    unseen = others * UNSEEN / max(int(counts.others.sum()), 1)
    times = np.random.default_rng(seed).multinomial(len(counts), np.full(len(counts), 1 / len(counts)), size=resamples)
    samples = []
    for chosen in (np.ones((1, len(counts))), times):
        recall = _rates(chosen @ own) / len(counts)
        alarms = _rates(chosen @ false) / len(counts) + unseen
        precision = recall / np.maximum(recall + alarms, SMALLEST)
        f1 = 2 * precision * recall / np.maximum(precision + recall, SMALLEST)
        samples.append(np.stack([precision, recall, f1]))  # [3, samples, STEPS + 1]
    ends = np.quantile(samples[1], [0.025, 0.975], axis=1)  # [2, 3, STEPS + 1]
    rows = []
    for step in range(STEPS + 1):
        figures = [(samples[0][name, 0, step], *ends[:, name, step]) for name in range(3)]
        rows.append(ThresholdRow(step / STEPS, *(float(number) for figure in figures for number in figure)))
    return rows


def _folds(count: int, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """The groups that are learned from and those that are held out, for each fold."""
    order = np.random.default_rng(seed).permutation(count)
    return [
        (np.setdiff1d(order, part), np.sort(part)) for part in np.array_split(order, min(FOLDS, count)) if len(part)
    ]


def _better_method(counts: PairCounts, others: int, seed: int) -> tuple[str, dict[str, float]]:
    """The method whose probabilities fit held-out groups better, by their log loss for each text."""
    losses = dict.fromkeys(METHODS, 0.0)
    for rest, held_out in _folds(len(counts), seed):
        own, false = (part.sum(axis=0) for part in _weights(counts.take(held_out), others))
        for method in METHODS:
            scores, probabilities = _calibrated(counts.take(rest), others, method)
            probability = np.interp(_middles(), scores, probabilities).clip(SMALLEST, 1 - SMALLEST)
            loss = -(own @ np.log(probability) + false @ np.log1p(-probability))
            losses[method] += float(loss) / len(counts)
    return min(METHODS, key=losses.__getitem__), losses


def _calibrated(counts: PairCounts, others: int, method: str) -> tuple[list[float], list[float]]:
    """Points of a rising curve from cosine to probability."""
    own, false = (part.sum(axis=0) for part in _weights(counts, others))
    weights = own + false
    middles, filled = _middles(), weights > 0
    share = own[filled] / weights[filled]
    if method == "isotonic":
        from sklearn.isotonic import IsotonicRegression

        fit = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip")
        probability = fit.fit(middles[filled], share, sample_weight=weights[filled]).predict(middles)
    else:
        from sklearn.linear_model import LogisticRegression

        targets = np.repeat([1, 0], filled.sum())
        pair_weights = np.concatenate([own[filled], false[filled]])
        chosen = pair_weights > 0
        points = np.tile(middles[filled], 2)[chosen, np.newaxis]
        fit = LogisticRegression(C=1e6, max_iter=1000).fit(points, targets[chosen], pair_weights[chosen])
        probability = fit.predict_proba(middles[:, np.newaxis])[:, 1]
    # Points where the curve bends are enough.
    kept = np.ones(BINS, dtype=bool)
    kept[1:-1] = (np.abs(np.diff(probability))[:-1] > 0) | (np.abs(np.diff(probability))[1:] > 0)
    return middles[kept].tolist(), probability[kept].tolist()
