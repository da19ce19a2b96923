"""All pairs of vectors whose cosine is at least a floor, of one set or across two.

Up to `EXACT_UP_TO` vectors all pairs are compared. Beyond, vectors are clustered, and those of a cluster are compared
with all for which it is one of the nearest clusters. How many of these are looked at is the least that would find
`WANTED_RECALL` of the pairs of a sample, which are known from comparing it with everything.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from askagain.errors import InputError
from askagain.files.progress import counted_progress, with_progress
from askagain.search.nearest import faiss

EXACT_UP_TO = 50_000
MOST_PAIRS = 100_000_000
ROWS_PER_BLOCK = 2_048
SAMPLED = 1_000  # vectors that recall is measured with
WANTED_RECALL = 0.99
MOST_PROBED = 32  # clusters
TRAINED_PER_CLUSTER = 64
ASSIGNED_PER_BLOCK = 1 << 14
ROUNDED = 6  # digits of a cosine that count


class SimilarPairs(NamedTuple):
    """Pairs of rows, the lower one first.

    `first`, `second`: [pairs] int32. `cosines`: [pairs] float32. `recall`: the share of all pairs at the floor that
    these are, measured on a sample; 1 where all were compared.
    """

    first: np.ndarray
    second: np.ndarray
    cosines: np.ndarray
    recall: float

    def at_least(self, threshold: float) -> "SimilarPairs":
        """The pairs with a cosine of `threshold` or more."""
        kept = self.cosines >= np.float32(round(threshold, ROUNDED))
        return SimilarPairs(self.first[kept], self.second[kept], self.cosines[kept], self.recall)


def similar_pairs(
    vectors: np.ndarray, floor: float, split_at: int | None = None, exact_up_to: int = EXACT_UP_TO
) -> SimilarPairs:
    """Finds pairs of unit vectors. Of equal vectors only the first is compared; the others pair with it.

    Args:
        vectors: [n, dim] float32, of length 1 or 0; may be memory-mapped. Zero vectors pair with nothing.
        floor: the least cosine of a pair, above 0.
        split_at: where given, only pairs of a row below it and a row from it on count.
        exact_up_to: distinct vectors that are all compared with each other.

    Raises:
        InputError: more than `MOST_PAIRS` pairs.
    """
    first_equal = _first_equal(vectors)
    distinct = np.flatnonzero((first_equal == np.arange(len(vectors))) & _is_filled(vectors))
    collected = _Collected(floor)
    if len(distinct) <= exact_up_to:
        recall = 1.0
        for first, second, cosines in _all_pairs(vectors, distinct):
            collected.add(first, second, cosines)
    else:
        recall = _clustered_pairs(vectors, distinct, floor, collected)
    equal = np.flatnonzero((first_equal != np.arange(len(vectors))) & _is_filled(vectors))
    pairs = collected.pairs(recall)
    if split_at is None:
        parts = [np.stack([pairs.first, pairs.second]), np.stack([first_equal[equal], equal])]
        cosines = np.concatenate([pairs.cosines, np.ones(len(equal), dtype=np.float32)])
        rows = np.concatenate(parts, axis=1)
        return SimilarPairs(rows[0].astype(np.int32), rows[1].astype(np.int32), cosines, recall)
    return _across(pairs, first_equal, split_at, len(vectors), vectors)


class _Collected:
    """Pairs as they are found, bounded in number."""

    def __init__(self, floor: float) -> None:
        self._floor = np.float32(round(floor, ROUNDED))
        self._parts: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
        self._count = 0

    def add(self, first: np.ndarray, second: np.ndarray, cosines: np.ndarray) -> None:
        """Adds the pairs of a block of cosines, [first, second], at the floor or above; a row is no pair of itself."""
        # Compared first as it is: rounding all of a block would take longer than its product.
        rows, columns = np.nonzero(cosines >= self._floor - 1e-6)
        one, other, scores = first[rows], second[columns], np.round(cosines[rows, columns], ROUNDED)
        kept = (scores >= self._floor) & (one < other)
        self._parts.append((one[kept].astype(np.int32), other[kept].astype(np.int32), scores[kept].clip(max=1)))
        self._count += int(kept.sum())
        if self._count > MOST_PAIRS:
            raise InputError(
                f"more than {MOST_PAIRS:,} pairs have a cosine of {self._floor:g} or more; choose a higher --threshold "
                "or --keep-from"
            )

    def pairs(self, recall: float) -> SimilarPairs:
        """All pairs once, in order."""
        if not self._parts:
            return SimilarPairs(np.zeros(0, np.int32), np.zeros(0, np.int32), np.zeros(0, np.float32), recall)
        first, second = (np.concatenate([part[side] for part in self._parts]) for side in (0, 1))
        cosines = np.concatenate([part[2] for part in self._parts])
        keys = first.astype(np.int64) << 32 | second
        _, places = np.unique(keys, return_index=True)
        return SimilarPairs(first[places], second[places], cosines[places], recall)


def _first_equal(vectors: np.ndarray) -> np.ndarray:
    """The first row with the same vector as each row, [n] int64."""
    random = np.random.default_rng(0)
    odd = random.integers(0, 2**63, vectors.shape[1], dtype=np.uint64) * np.uint64(2) + np.uint64(1)
    keys = np.empty(len(vectors), dtype=np.uint64)
    for start in range(0, len(vectors), ASSIGNED_PER_BLOCK):
        numbers = np.ascontiguousarray(vectors[start : start + ASSIGNED_PER_BLOCK]) + np.float32(0)  # -0 becomes 0
        keys[start : start + len(numbers)] = numbers.view(np.uint32).astype(np.uint64) @ odd
    _, firsts, places = np.unique(keys, return_index=True, return_inverse=True)
    first = firsts[places]
    candidates = np.flatnonzero(first != np.arange(len(vectors)))
    for start in range(0, len(candidates), ASSIGNED_PER_BLOCK):
        block = candidates[start : start + ASSIGNED_PER_BLOCK]
        differs = (vectors[block] != vectors[first[block]]).any(axis=1)  # other vectors with the same key
        first[block[differs]] = block[differs]
    return first


def _is_filled(vectors: np.ndarray) -> np.ndarray:
    parts = [
        vectors[start : start + ASSIGNED_PER_BLOCK].any(axis=1) for start in range(0, len(vectors), ASSIGNED_PER_BLOCK)
    ]
    return np.concatenate([np.zeros(0, dtype=bool), *parts])


def _all_pairs(vectors: np.ndarray, rows: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Blocks of cosines of all pairs of rows, each pair once."""
    compared = vectors[rows]
    starts = range(0, len(rows), ROWS_PER_BLOCK)
    for start in counted_progress(starts, len(rows), ROWS_PER_BLOCK, "comparing"):
        block = compared[start : start + ROWS_PER_BLOCK]
        for other in range(start, len(rows), 4 * ROWS_PER_BLOCK):
            end = other + 4 * ROWS_PER_BLOCK
            yield rows[start : start + ROWS_PER_BLOCK], rows[other:end], block @ compared[other:end].T


def _clustered_pairs(vectors: np.ndarray, rows: np.ndarray, floor: float, collected: _Collected) -> float:
    """Collects the pairs within clusters, and returns the share of all pairs that these are."""
    clusters = int(math.sqrt(len(rows)))
    centres = _centres(vectors, rows, clusters)
    nearest = _nearest_clusters(vectors, rows, centres)
    probed, recall = _enough_probed(vectors, rows, nearest, floor)
    order = np.argsort(nearest[:, 0], kind="stable")
    bounds = np.searchsorted(nearest[order, 0], np.arange(clusters + 1))
    visits = np.argsort(nearest[:, :probed].ravel(), kind="stable")
    visit_bounds = np.searchsorted(nearest[:, :probed].ravel()[visits], np.arange(clusters + 1))
    for cluster in with_progress(range(clusters), clusters, "comparing clusters"):
        own = np.sort(order[bounds[cluster] : bounds[cluster + 1]])
        visiting = np.sort(visits[visit_bounds[cluster] : visit_bounds[cluster + 1]] // probed)
        if not len(own):
            continue
        at_home = vectors[rows[own]]
        for start in range(0, len(visiting), 4 * ROWS_PER_BLOCK):
            part = visiting[start : start + 4 * ROWS_PER_BLOCK]
            cosines = at_home @ vectors[rows[part]].T
            # Either may be the lower row; pairs that two clusters find are joined at the end.
            collected.add(rows[own], rows[part], cosines)
            collected.add(rows[part], rows[own], cosines.T)
    return recall


def _centres(vectors: np.ndarray, rows: np.ndarray, clusters: int) -> np.ndarray:
    package = faiss()
    drawn = np.random.default_rng(0).permutation(len(rows))[: clusters * TRAINED_PER_CLUSTER]
    kmeans = package.Kmeans(vectors.shape[1], clusters, niter=8, spherical=True, seed=1, min_points_per_centroid=1)
    kmeans.train(np.ascontiguousarray(vectors[rows[np.sort(drawn)]]))
    return kmeans.centroids


def _nearest_clusters(vectors: np.ndarray, rows: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """The `MOST_PROBED` nearest clusters of each row, nearest first, [rows, probed] int32."""
    index = faiss().IndexFlatIP(centres.shape[1])
    index.add(centres)
    probed = min(MOST_PROBED, len(centres))
    nearest = np.empty((len(rows), probed), dtype=np.int32)
    starts = range(0, len(rows), ASSIGNED_PER_BLOCK)
    for start in counted_progress(starts, len(rows), ASSIGNED_PER_BLOCK, "finding clusters"):
        block = np.ascontiguousarray(vectors[rows[start : start + ASSIGNED_PER_BLOCK]])
        nearest[start : start + len(block)] = index.search(block, probed)[1]
    return nearest


def _enough_probed(vectors: np.ndarray, rows: np.ndarray, nearest: np.ndarray, floor: float) -> tuple[int, float]:
    """How many clusters of each row to look at, and the recall that this gives on a sample."""
    sample = np.sort(np.random.default_rng(1).permutation(len(rows))[:SAMPLED])
    asked = vectors[rows[sample]]
    one, other = [], []
    for start in range(0, len(rows), ASSIGNED_PER_BLOCK):
        found, places = np.nonzero(asked @ vectors[rows[start : start + ASSIGNED_PER_BLOCK]].T >= floor)
        one.append(sample[found])
        other.append(places + start)
    first, second = np.concatenate(one), np.concatenate(other)
    first, second = first[first != second], second[first != second]
    if not len(first):
        return min(4, nearest.shape[1]), 1.0
    probed, recall = 1, 0.0
    while True:
        seen = (nearest[first, :probed] == nearest[second, :1]).any(axis=1)
        seen |= (nearest[second, :probed] == nearest[first, :1]).any(axis=1)
        recall = float(seen.mean())
        if recall >= WANTED_RECALL or probed == nearest.shape[1]:
            return probed, recall
        probed = min(2 * probed, nearest.shape[1])


def _across(
    pairs: SimilarPairs, first_equal: np.ndarray, split_at: int, count: int, vectors: np.ndarray
) -> SimilarPairs:
    """Pairs across two sets: each row of the first set with the first row of the second of each distinct vector."""
    filled = _is_filled(vectors)
    left = np.flatnonzero(filled[:split_at])
    right = np.flatnonzero(filled[split_at:]) + split_at
    # One row of the second set stands for all that are equal.
    vectors_right, places = np.unique(first_equal[right], return_index=True)
    right_of = dict(zip(vectors_right.tolist(), right[places].tolist(), strict=True))
    order = np.argsort(first_equal[left], kind="stable")
    left, keys = left[order], first_equal[left][order]
    sides = [(pairs.first, pairs.second, pairs.cosines), (pairs.second, pairs.first, pairs.cosines)]
    own = np.array([key for key in np.unique(keys).tolist() if key in right_of], dtype=np.int64)
    sides.append((own, own, np.ones(len(own), dtype=np.float32)))
    found = []
    for one, other, cosines in sides:
        is_right = np.isin(other, vectors_right)
        one, other, cosines = one[is_right], other[is_right], cosines[is_right]
        starts, ends = np.searchsorted(keys, one), np.searchsorted(keys, one, side="right")
        lengths = ends - starts
        rows = np.repeat(starts - np.cumsum(lengths) + lengths, lengths) + np.arange(lengths.sum())
        targets = np.array([right_of[key] for key in other.tolist()], dtype=np.int64)
        found.append((left[rows], np.repeat(targets, lengths), np.repeat(cosines, lengths)))
    first, second, cosines = (np.concatenate(part) for part in zip(*found, strict=True))
    order = np.lexsort((second, -cosines, first))
    return SimilarPairs(
        first[order].astype(np.int32), second[order].astype(np.int32), cosines[order].astype(np.float32), pairs.recall
    )
