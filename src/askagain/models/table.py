"""The table of an encoder, a row for each feature: in float32, float16, or int8 with a scale for each row."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np

from askagain.errors import InputError
from askagain.native.texts import sums as native_sums
from askagain.text.bags import Bags

DTYPES = ("float32", "float16", "int8")
INT8_LARGEST = 127
LARGEST = 1e14  # numbers of a table in use; the squares of their sums still fit into float32
FEW_IDS = 256  # summed without scipy, whose import takes longer than they do


@dataclass(frozen=True, eq=False)
class Table:
    """Rows that are added up in float32, whatever they are kept as.

    `rows`: [rows, dim] float32, float16 or int8; it may be memory-mapped. `scales`: [rows] float32, what each row of
    int8 is multiplied by; None for other types.
    """

    rows: np.ndarray
    scales: np.ndarray | None = None

    def __post_init__(self) -> None:
        scales = self.scales
        if self.rows.ndim != 2 or self.rows.dtype not in DTYPES or (self.rows.dtype == "int8") != (scales is not None):
            raise ValueError(f"the table is {self.rows.dtype} {self.rows.shape}")
        if scales is not None and (scales.dtype != "float32" or scales.shape != (len(self.rows),)):
            raise ValueError(f"the scales of the table are {scales.dtype} {scales.shape}")

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def dim(self) -> int:
        return self.rows.shape[1]

    @property
    def dtype(self) -> str:
        """One of `DTYPES`."""
        return str(self.rows.dtype)

    @property
    def nbytes(self) -> int:
        return self.rows.nbytes + (0 if self.scales is None else self.scales.nbytes)

    @property
    def is_finite(self) -> bool:
        """Whether all numbers are finite, and so small that sums of rows have a length in float32."""
        if not self.rows.size:
            return True
        # A table of int8 has a number of 127 in each row that is not zero, so that its scale says how large it is.
        numbers = self.rows if self.scales is None else self.scales
        return bool((numbers.min() > -LARGEST) & (numbers.max() < LARGEST))  # false for NaN

    def take(self, ids: np.ndarray) -> np.ndarray:
        """The rows at `ids`, [ids], as [ids, dim] float32."""
        ids = ids.astype(np.intp, copy=False)
        rows = self.rows.take(ids, axis=0).astype(np.float32, copy=False)
        return rows if self.scales is None else rows * self.scales.take(ids)[:, np.newaxis]

    def sums(self, bags: Bags) -> np.ndarray:
        """The sum of the rows of each bag, [bags, dim] float32; zero for an empty one.

        Rows are added in the order of their ids in the bag, so that equal bags have equal sums to the last bit.
        """
        if len(bags.ids) <= FEW_IDS:
            return self._sums_of_few(bags)
        added = native_sums(self.rows, self.scales, bags.ids, bags.offsets)
        if added is not None:
            return added
        from scipy.sparse import csr_array

        ids, rows = bags.ids, self.rows
        if rows.dtype != np.float32:
            is_used = np.zeros(len(self), dtype=bool)
            is_used[ids] = True
            rows = self.take(np.flatnonzero(is_used))
            ids = (np.cumsum(is_used, dtype=np.int32) - 1).take(ids)
        ones = np.ones(len(ids), dtype=np.float32)
        return csr_array((ones, ids, bags.offsets), shape=(len(bags), len(rows))) @ rows

    def _sums_of_few(self, bags: Bags) -> np.ndarray:
        sums = np.zeros((len(bags), self.dim), dtype=np.float32)
        rows = self.take(bags.ids)
        for place, (start, stop) in enumerate(pairwise(bags.offsets.tolist())):
            for row in rows[start:stop]:  # one after the other, as scipy does; `sum` would add in another order
                sums[place] += row
        return sums

    def truncated(self, dim: int) -> "Table":
        """The first `dim` columns."""
        return Table(np.ascontiguousarray(self.rows[:, :dim]), self.scales)

    def as_type(self, dtype: str) -> "Table":
        """The same numbers in another type; raises InputError for one that is not in `DTYPES`, or too small.

        In int8 the largest number of each row becomes 127 or -127, and the others are rounded.
        """
        if dtype not in DTYPES:
            raise InputError(f"dtype={dtype}: not one of {', '.join(DTYPES)}")
        if dtype == self.dtype:
            return self
        rows = self.take(np.arange(len(self)))
        if dtype == "int8":
            scales = np.abs(rows).max(axis=1, initial=0).astype(np.float32) / INT8_LARGEST
            rows /= np.where(scales > 0, scales, 1)[:, np.newaxis]
            return Table(np.rint(rows).astype(np.int8), scales)
        if dtype == "float16" and np.abs(rows).max(initial=0) > np.finfo(np.float16).max:
            raise InputError("dtype=float16: the table has numbers that are too large for it; choose int8 or float32")
        return Table(rows.astype(dtype))

    @cached_property
    def tensors(self) -> Mapping[str, np.ndarray]:
        """The arrays by the names that they have in a file."""
        rows = {"table": np.ascontiguousarray(self.rows)}
        return rows if self.scales is None else rows | {"scales": self.scales}
