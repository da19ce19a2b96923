"""Writes a .npy file block by block, which numpy does not offer, and resumes one that was left unfinished."""

import mmap
import os
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.lib import format as npy_format


class NpyRows:
    """Writes the rows of a two-dimensional .npy file block by block, and resumes after an interrupted writer.

    `count`: rows of the finished file; the header promises them, so numpy refuses the file until it is finished.
    `written`: whole rows in the file so far. Use it in a `with` block.
    """

    def __init__(self, path: Path, count: int, dtype: str) -> None:
        self._count = count
        self._dtype = np.dtype(dtype)
        self._file = path.open("r+b" if path.exists() else "w+b")
        self._dim: int | None = None  # known from the first row on
        self.written = 0
        self._resume()

    def _resume(self) -> None:
        """Counts the whole rows and cuts off the rest; a file of another shape or type is started afresh."""
        try:
            if npy_format.read_magic(self._file) != (1, 0):
                raise ValueError("another version")
            shape, _, dtype = npy_format.read_array_header_1_0(self._file)
            if len(shape) != 2 or shape[0] != self._count or dtype != self._dtype:
                raise ValueError("other rows")
        except ValueError:
            self._file.seek(0)
            self._file.truncate()
            return
        begin, end = self._file.tell(), self._file.seek(0, os.SEEK_END)
        self._dim = shape[1]
        row_bytes = self._dim * self._dtype.itemsize
        self.written = (end - begin) // row_bytes
        self._file.seek(begin + self.written * row_bytes)
        self._file.truncate()

    def append(self, rows: np.ndarray) -> None:
        """Appends rows, [n, dim], and flushes them; raises ValueError where dim changes."""
        if self._dim is None:
            self._dim = rows.shape[1]
            shape = (self._count, self._dim)
            header = {"descr": npy_format.dtype_to_descr(self._dtype), "fortran_order": False, "shape": shape}
            npy_format.write_array_header_1_0(self._file, header)
        if rows.shape[1] != self._dim:
            raise ValueError(f"rows of {rows.shape[1]} numbers after rows of {self._dim}")
        self._file.write(np.ascontiguousarray(rows, dtype=self._dtype).tobytes())
        self._file.flush()
        self.written += len(rows)

    def __enter__(self) -> "NpyRows":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()


def read_at_random(array: np.ndarray) -> None:
    """Tells the system that a memory-mapped array is read at random places, so that it does not read ahead.

    Reading ahead slows down a file that does not fit into memory. Arrays that are not memory-mapped are left alone.
    """
    owner: object = array
    while isinstance(owner, np.ndarray):
        owner = owner.base
    if isinstance(owner, mmap.mmap) and hasattr(mmap, "MADV_RANDOM"):
        owner.madvise(mmap.MADV_RANDOM)
