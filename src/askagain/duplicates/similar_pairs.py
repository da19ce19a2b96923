"""All pairs of vectors whose cosine is at least a floor, of one set or across two.

Up to `EXACT_UP_TO` vectors all pairs are compared. Beyond, vectors are clustered, and those of a cluster are compared
with all for which it is one of the nearest clusters. How many of these are looked at is the least that would find
`WANTED_RECALL` of the pairs of a sample, which are known from comparing it with everything.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from askagain.errors import InputError
from askagain.files.in_order import in_order
from askagain.files.progress import counted_progress, with_progress
from askagain.search.nearest import faiss
from askagain.text.bags import Bags

EXACT_UP_TO = 50_000
MOST_PAIRS = 100_000_000
ROWS_PER_BLOCK = 2_048
SAMPLED = 1_000  # vectors that recall is measured with
WANTED_RECALL = 0.99
MOST_PROBED = 32  # clusters
TRAINED_PER_CLUSTER = 64
ASSIGNED_PER_BLOCK = 1 << 14
PAIRS_PER_BLOCK = 1 << 10  # whose vectors stay in the processor's cache
ROUNDED = 6  # digits of a cosine that count
NEARLY = 2e-6  # how far below a floor a product in float32 may be of a cosine that is rounded to it


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


class Part(NamedTuple):
    """Pairs that one task has found; the fields are those of `SimilarPairs`."""

    first: np.ndarray
    second: np.ndarray
    cosines: np.ndarray


Task = Callable[[int], Part]
# Does a task for each of some numbers, with a description of it, and gives their parts in any order.
Spread = Callable[[Task, Sequence[int], str], Iterable[Sequence[np.ndarray]]]


def on_this_machine(task: Task, numbers: Sequence[int], description: str) -> Iterator[Part]:
    """The parts of a task, with a progress bar."""
    return map(task, with_progress(numbers, len(numbers), description))


def similar_pairs(
    vectors: np.ndarray,
    floor: float,
    split_at: int | None = None,
    exact_up_to: int = EXACT_UP_TO,
    spread: Spread = on_this_machine,
) -> SimilarPairs:
    """Finds pairs of unit vectors. Of equal vectors only the first is compared; the others pair with it.

    Args:
        vectors: [n, dim] float32, of length 1 or 0; may be memory-mapped. Zero vectors pair with nothing.
        floor: the least cosine of a pair, above 0.
        split_at: where given, only pairs of a row below it and a row from it on count.
        exact_up_to: distinct vectors that are all compared with each other.
        spread: where tasks are done.

    Raises:
        InputError: more than `MOST_PAIRS` pairs.
    """
    first_equal = _first_equal(vectors)
    is_filled = _is_filled(vectors)
    is_first = first_equal == np.arange(len(vectors))
    distinct = np.flatnonzero(is_first & is_filled)
    recall = 1.0
    if len(distinct) <= exact_up_to:
        task: Task = _AllPairs(vectors, distinct, floor)
        numbers: Sequence[int] = range(0, len(distinct), ROWS_PER_BLOCK)
        description = f"comparing, {ROWS_PER_BLOCK:,} at a time"
    else:
        task, recall = _clustered(vectors, distinct, floor)
        numbers, description = range(task.clusters), "comparing clusters"
    pairs = _collected(spread(task, numbers, description), floor, recall)
    if split_at is None:
        equal = np.flatnonzero(~is_first & is_filled)
        first = np.concatenate([pairs.first, first_equal[equal].astype(np.int32)])
        second = np.concatenate([pairs.second, equal.astype(np.int32)])
        return SimilarPairs(first, second, np.append(pairs.cosines, np.ones(len(equal), dtype=np.float32)), recall)
    return _across(pairs, first_equal, split_at, is_filled)


def _part(vectors: np.ndarray, first: np.ndarray, second: np.ndarray, cosines: np.ndarray, floor: float) -> Part:
    """The pairs of a block of cosines, [first, second], at the floor or above, the lower row first."""
    # Compared as they are: rounding all of a block would take longer than its product.
    rows, columns = np.nonzero(cosines >= np.float32(floor - NEARLY))
    one, other = first[rows], second[columns]
    scores = _rounded_cosines(vectors, one, other)
    kept = (scores >= np.float32(round(floor, ROUNDED))) & (one != other)
    one, other = one[kept].astype(np.int32), other[kept].astype(np.int32)
    return Part(np.minimum(one, other), np.maximum(one, other), scores[kept].clip(max=1))


def _rounded_cosines(vectors: np.ndarray, one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The cosines of pairs of rows, [pairs] float32, in `ROUNDED` digits.

    They are computed in float64: the last digit of a product in float32 depends on the processor and its threads.
    """

    def products(start: int) -> np.ndarray:
        block = slice(start, start + PAIRS_PER_BLOCK)
        return np.einsum("ij,ij->i", vectors[one[block]], vectors[other[block]], dtype=np.float64)

    found = in_order(products, range(0, len(one), PAIRS_PER_BLOCK))
    return np.round(np.concatenate([np.zeros(0), *found]), ROUNDED).astype(np.float32)


def _collected(parts: Iterable[Sequence[np.ndarray]], floor: float, recall: float) -> SimilarPairs:
    """All pairs of all parts once, in order."""
    first, second = [np.zeros(0, np.int32)], [np.zeros(0, np.int32)]
    cosines = [np.zeros(0, np.float32)]
    count = 0
    for ones, others, scores in parts:
        first.append(ones)
        second.append(others)
        cosines.append(scores)
        count += len(ones)
        if count > MOST_PAIRS:
            raise InputError(
                f"more than {MOST_PAIRS:,} pairs have a cosine of {floor:g} or more; choose a higher --threshold or "
                "--keep-from"
            )
    keys = np.concatenate(first).astype(np.int64) << 32 | np.concatenate(second)
    keys, places = np.unique(keys, return_index=True)
    return SimilarPairs((keys >> 32).astype(np.int32), keys.astype(np.int32), np.concatenate(cosines)[places], recall)


@dataclass(frozen=True, eq=False)
class _AllPairs:
    """Compares the block of rows that begins at a number with all rows from there on."""

    vectors: np.ndarray
    rows: np.ndarray
    floor: float

    def __call__(self, start: int) -> Part:
        own = self.rows[start : start + ROWS_PER_BLOCK]
        block = self.vectors[own]
        parts = []
        for first in range(start, len(self.rows), 4 * ROWS_PER_BLOCK):
            others = self.rows[first : first + 4 * ROWS_PER_BLOCK]
            parts.append(_part(self.vectors, own, others, block @ self.vectors[others].T, self.floor))
        return _joined(parts)


@dataclass(frozen=True, eq=False)
class _ClusterPairs:
    """Compares the rows of a cluster with all rows for which it is one of the nearest.

    `home`, `visiting`: the places in `rows` of each cluster's own rows, and of all that visit it; one bag a cluster.
    """

    vectors: np.ndarray
    rows: np.ndarray
    floor: float
    home: Bags
    visiting: Bags

    @property
    def clusters(self) -> int:
        return len(self.home)

    def __call__(self, cluster: int) -> Part:
        own = self.rows[self.home.bag(cluster)]
        visitors = self.rows[self.visiting.bag(cluster)]
        at_home = self.vectors[own]
        starts = range(0, len(visitors) if len(own) else 0, 4 * ROWS_PER_BLOCK)
        blocks = (visitors[start : start + 4 * ROWS_PER_BLOCK] for start in starts)
        return _joined(
            [_part(self.vectors, own, block, at_home @ self.vectors[block].T, self.floor) for block in blocks]
        )


def _joined(parts: Sequence[Part]) -> Part:
    if not parts:
        return Part(np.zeros(0, np.int32), np.zeros(0, np.int32), np.zeros(0, np.float32))
    return Part(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


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


def _clustered(vectors: np.ndarray, rows: np.ndarray, floor: float) -> tuple[_ClusterPairs, float]:
    """The task that compares rows within clusters, and the share of all pairs that this finds."""
    clusters = int(math.sqrt(len(rows)))
    nearest = _nearest_clusters(vectors, rows, _centres(vectors, rows, clusters))
    probed, recall = _enough_probed(vectors, rows, nearest, floor)
    home, visiting = (
        Bags(order // width, np.searchsorted(visited[order], np.arange(clusters + 1)))
        for width, visited in ((width, nearest[:, :width].ravel()) for width in (1, probed))
        for order in [np.argsort(visited, kind="stable")]
    )
    return _ClusterPairs(vectors, rows, floor, home, visiting), recall


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


def _across(pairs: SimilarPairs, first_equal: np.ndarray, split_at: int, is_filled: np.ndarray) -> SimilarPairs:
    """Pairs across two sets: each row of the first set with the first row of the second of each distinct vector."""
    left = np.flatnonzero(is_filled[:split_at])
    right = np.flatnonzero(is_filled[split_at:]) + split_at
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
