"""The nearest vectors by inner product, with faiss: all of them compared, or found by shorter codes and then compared.

Rule of `kind="auto"`: flat up to `FLAT_UP_TO` vectors. Beyond, product quantization: the codes of all vectors, 4 bits
for every two numbers (every five, of more than `MANY` vectors), are compared with the query, and the exact vectors of
the best of them order the result. How many is the least that gives a recall@10 of `WANTED_RECALL` against flat,
measured on vectors of the index itself; where none does, the index stays flat. `ivf` compares the codes of some
clusters only, and `hnsw` follows a graph: both are built where they are asked for. Vectors of cheap encoders have far
neighbours in so many clusters that half of them must be searched. HNSW is never built where many vectors are equal: its
graph then links these to each other and little else.

Source of the codes: André et al., "Quicker ADC: Unlocking the hidden potential of Product Quantization with SIMD",
2019, as faiss has them.
"""

import math
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from askagain.errors import InputError, missing_package

KINDS = ("auto", "flat", "pq", "ivf", "hnsw")
FLAT_UP_TO = 20_000  # vectors
FEWEST = 256  # vectors of another kind than flat
WANTED_RECALL = 0.98
AIMED_RECALL = 0.985  # on the sample, so that others are not below what is wanted
NEAREST = 10  # of recall@10
SAMPLED = 256  # vectors that recall is measured with
TRAINED = 1 << 12  # vectors that codes are made for, and four times as many of MANY
MANY = 200_000  # vectors, from which on reading their codes takes most of the time, and these are shorter
TRAINED_PER_CLUSTER = 64
REFINED = (4, 8, 16, 32, 64)  # times as many are found by codes as are wanted, and ordered by exact vectors
MORE = 4  # are compared than are wanted, so that a cut between equal ones falls behind them
EQUAL_SHARE = 0.05  # of vectors that HNSW is refused from
LINKS, SEARCHED_WHILE_BUILT = 32, 200  # of HNSW
FILE, APPROXIMATE_FILE = "vectors.faiss", "approximate.faiss"


def faiss() -> Any:
    """The package; raises InputError where it is not installed."""
    # Threads that wait for each other must not keep the processor from whoever else wants it: training codes took
    # twenty times as long beside another process.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        import faiss
    except ImportError as error:
        raise missing_package("faiss", "search") from error
    return faiss


@dataclass(frozen=True)
class Approximation:
    """How vectors are found without comparing all.

    `kind`: `pq`, `ivf` or `hnsw`. `refined`: times as many are compared exactly as are wanted. `searched`: clusters or
    nodes that are looked at. `recall`: recall@10 against flat.
    """

    kind: str
    refined: int
    searched: int = 0
    recall: float = 0.0


class NearestVectors:
    """Vectors of one encoder, to be searched by inner product."""

    def __init__(self, flat: Any, approximate: Any = None, approximation: Approximation | None = None) -> None:
        self._flat = flat
        self._approximate = approximate
        self.approximation = approximation
        if approximation is not None and approximation.kind == "ivf":
            approximate.nprobe = approximation.searched
        if approximation is not None and approximation.kind == "hnsw":
            approximate.hnsw.efSearch = approximation.searched

    @classmethod
    def build(cls, vectors: np.ndarray, kind: str = "auto", flat_up_to: int = FLAT_UP_TO) -> "NearestVectors":
        """An index of [n, dim] float32 unit vectors, of a kind in `KINDS`; raises InputError for another one."""
        if kind not in KINDS:
            raise InputError(f"kind={kind}: not one of {', '.join(KINDS)}")
        flat = faiss().IndexFlatIP(vectors.shape[1])
        flat.add(vectors)
        if kind == "flat" or (kind == "auto" and len(vectors) <= flat_up_to) or len(vectors) < FEWEST:
            return cls(flat)
        kind = "pq" if kind == "auto" else kind
        approximate = _approximate(vectors, kind)
        approximation = _smallest(flat, approximate, vectors, _steps(kind, approximate))
        return cls(flat) if approximation is None else cls(flat, approximate, approximation)

    def __len__(self) -> int:
        return self._flat.ntotal

    @property
    def dim(self) -> int:
        return self._flat.d

    def save(self, folder: Path) -> None:
        faiss().write_index(self._flat, str(folder / FILE))
        if self._approximate is not None:
            faiss().write_index(self._approximate, str(folder / APPROXIMATE_FILE))

    @classmethod
    def load(cls, folder: Path, approximation: Approximation | None) -> "NearestVectors":
        """Reads what `save` wrote; exact vectors are memory-mapped, so that processes share them.

        Raises RuntimeError for a damaged file.
        """
        package = faiss()
        flat = package.read_index(str(folder / FILE), package.IO_FLAG_MMAP_IFC)
        if approximation is None:
            return cls(flat)
        return cls(flat, package.read_index(str(folder / APPROXIMATE_FILE)), approximation)

    def vectors(self, rows: np.ndarray) -> np.ndarray:
        """The vectors at `rows`, [rows, dim] float32."""
        return self._flat.reconstruct_batch(rows.astype(np.int64))

    def search(self, queries: np.ndarray, k: int, left_out: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """The `k` nearest rows of each query, best first, and their scores.

        Rows with equal vectors have equal scores, whatever else is searched for, and stand in their order.

        Args:
            queries: [queries, dim] float32 unit vectors.
            k: how many; fewer where there are fewer.
            left_out: [n] bool, rows that are not to be found.

        Returns:
            [queries, k] int64 rows, -1 where there is none, and [queries, k] float32 scores.
        """
        if not len(self) or not len(queries):
            return np.full((len(queries), 0), -1), np.zeros((len(queries), 0), dtype=np.float32)
        kept = np.ones(len(self), dtype=bool) if left_out is None else ~left_out
        k = min(k, int(kept.sum()))
        rows = np.full((len(queries), k), -1)
        scores = np.zeros((len(queries), k), dtype=np.float32)
        is_zero = ~queries.any(axis=1)  # all vectors have the same product with it, of which codes know nothing
        rows[is_zero] = np.flatnonzero(kept)[:k]
        index = self._flat if self._approximate is None else self._approximate
        refined = 0 if self.approximation is None else self.approximation.refined * max(k, NEAREST)
        wanted = max(k, refined) + MORE
        waiting = np.flatnonzero(~is_zero)
        while len(waiting):
            wanted = min(wanted, len(self))
            _, found = index.search(queries[waiting], wanted)
            is_wanted = (found >= 0) & kept[found]
            enough = is_wanted.sum(axis=1) >= k
            if enough.any():
                candidates = np.where(is_wanted, found, -1)[enough]
                ready = waiting[enough]
                rows[ready], scores[ready] = best_by_exact_vectors(self.vectors, queries[ready], candidates, k)
            # Of the others most of what was found is left out, or is in clusters that are not searched.
            waiting = waiting[~enough]
            index = self._flat if wanted == len(self) else index
            wanted *= 4
        return rows, scores


def best_by_exact_vectors(
    vectors_of: Callable[[np.ndarray], np.ndarray], queries: np.ndarray, rows: np.ndarray, k: int
) -> tuple[np.ndarray, np.ndarray]:
    """The best `k` of the rows that were found for each query, by their exact vectors; see `NearestVectors.search`.

    `vectors_of`: gives the vectors of rows. `rows`: [queries, found], -1 where there is none.
    """
    scores = np.full(rows.shape, -np.inf, dtype=np.float32)
    for place, (query, candidates) in enumerate(zip(queries, rows, strict=True)):
        is_row = candidates >= 0
        exact = vectors_of(candidates[is_row]).astype(np.float64) @ query.astype(np.float64)
        scores[place, is_row] = np.round(exact, 6)  # sums of equal numbers in another order differ by less
    order = np.lexsort((rows, -scores), axis=1)[:, :k]
    rows, scores = np.take_along_axis(rows, order, axis=1), np.take_along_axis(scores, order, axis=1)
    return np.where(np.isfinite(scores), rows, -1), scores


def _approximate(vectors: np.ndarray, kind: str) -> Any:
    """An index of `kind` with all vectors, trained on some of them."""
    package = faiss()
    count, dim = vectors.shape
    if kind == "hnsw":
        _refuse_equal(vectors)
        index = package.IndexHNSWFlat(dim, LINKS, package.METRIC_INNER_PRODUCT)
        index.hnsw.efConstruction = SEARCHED_WHILE_BUILT
    else:
        sizes = (5, 4, 2, 1) if count > MANY else (2, 1)
        numbers = next(size for size in sizes if dim % size == 0)  # of a code
        codes = f"PQ{dim // numbers}x4fs"
        clusters = max(1, int(2 * math.sqrt(count)))
        name = codes if kind == "pq" else f"IVF{clusters},{codes}"
        index = package.index_factory(dim, name, package.METRIC_INNER_PRODUCT)
        if kind == "ivf":
            index.cp.min_points_per_centroid = 1  # of which faiss would warn
        trained = TRAINED * (4 if count > MANY else 1)
        if kind == "ivf":
            trained = max(trained, clusters * TRAINED_PER_CLUSTER)
        rows = np.random.default_rng(0).permutation(count)[:trained]
        index.train(vectors[np.sort(rows)])
    index.add(vectors)
    return index


def _refuse_equal(vectors: np.ndarray) -> None:
    """Raises InputError where many vectors are equal to another."""
    rows = np.ascontiguousarray(vectors).view(f"V{vectors.itemsize * vectors.shape[1]}").ravel()
    equal = 1 - len(np.unique(rows)) / len(rows)
    if equal > EQUAL_SHARE:
        raise InputError(f"kind=hnsw: {equal:.0%} of the vectors repeat another, and it would miss many; use kind=pq")


def _steps(kind: str, approximate: Any) -> list[Approximation]:
    """Searches of a kind, from the fastest to the most thorough."""
    if kind == "pq":
        return [Approximation(kind, refined) for refined in REFINED]
    if kind == "hnsw":
        return [Approximation(kind, 1, 2**power) for power in range(5, 12)]
    return [Approximation(kind, REFINED[2], 2**power) for power in range(3, int(math.log2(approximate.nlist)) + 2)]


def _smallest(flat: Any, approximate: Any, vectors: np.ndarray, steps: list[Approximation]) -> Approximation | None:
    """The first step with the aimed recall; None where none reaches it."""
    random = np.random.default_rng(0)
    queries = vectors[np.sort(random.choice(len(vectors), min(SAMPLED, len(vectors)), replace=False))]
    exact = NearestVectors(flat).search(queries, NEAREST + 1)[1]
    for step in steps:
        found = NearestVectors(flat, approximate, step).search(queries, NEAREST + 1)[1]
        recall = recall_of(found[:, 1:], exact[:, 1:])  # without the vector itself
        if recall >= AIMED_RECALL:
            return replace(step, recall=round(recall, 4))
    return None


def recall_of(found: np.ndarray, exact: np.ndarray) -> float:
    """The share of the exact nearest that were found, by their scores: of equal vectors any will do.

    `found`, `exact`: [queries, k], best first.
    """
    if not exact.size:
        return 1.0
    worst = exact[:, -1:]
    return float((found >= worst).sum(axis=1).clip(max=exact.shape[1]).mean() / exact.shape[1])
