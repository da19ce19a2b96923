"""Products of sparse rows in C, see `askagain.ranking.products`."""

import ctypes
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from askagain.native.library import Library, pointer

if TYPE_CHECKING:  # it takes long to import
    from scipy.sparse import csr_array

Integer = ctypes.c_int64
_library = Library(Path(__file__).with_name("terms.c"), ("-ffp-contract=off",))


class RowProducts:
    """The products of one sparse row at a time with some of others; the rows may differ in width.

    Raises IndexError for rows whose terms are not within their width.
    """

    def __init__(self, library: ctypes.CDLL, asked: "csr_array", rows: "csr_array") -> None:
        self._library = library
        self._asked, self._rows = (_Rows(one) for one in (asked, rows))
        self._weights = np.zeros(max(asked.shape[1], rows.shape[1]))
        self._table = [pointer(array) for array in (self._rows.begins, self._rows.terms, self._rows.values)]

    def __call__(self, row: int, chosen: np.ndarray) -> np.ndarray:
        """The products, [n] float64, of the row that is asked for with those at `chosen`, [n]."""
        chosen = np.ascontiguousarray(chosen, dtype=np.int64)
        if len(chosen) and (chosen.min() < 0 or chosen.max() >= len(self._rows.begins) - 1):
            raise IndexError("a row that is not there")
        begin, end = self._asked.begins[row : row + 2].tolist()
        terms, values = self._asked.terms[begin:end], self._asked.values[begin:end]
        products = np.empty(len(chosen))
        own = (pointer(self._weights), pointer(terms), pointer(values), Integer(end - begin))
        self._library.multiply_rows(*own, *self._table, pointer(chosen), Integer(len(chosen)), pointer(products))
        return products


class _Rows:
    """The arrays of sparse rows: `begins`, [rows + 1] int64, `terms`, int32, and `values`, float64."""

    def __init__(self, rows: "csr_array") -> None:
        self.begins = np.ascontiguousarray(rows.indptr, dtype=np.int64)
        self.terms = np.ascontiguousarray(rows.indices, dtype=np.int32)
        self.values = np.ascontiguousarray(rows.data, dtype=np.float64)
        if len(self.terms) and (self.terms.min() < 0 or self.terms.max() >= rows.shape[1]):
            raise IndexError("a term beyond the width of its row")


def row_products(asked: "csr_array", rows: "csr_array") -> RowProducts | None:
    """None where there is no library, or none yet."""
    library = _library.loaded(wait=False)
    return None if library is None else RowProducts(library, asked, rows)


def start() -> None:
    """Begins to compile or to load it, beside other work."""
    _library.start()
