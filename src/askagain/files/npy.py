"""What numpy leaves out of .npy files: appending to them, and telling the system how they will be read."""

import mmap
import os
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.lib import format as npy_format


class NpyWriter:
    """Appends one-dimensional arrays of one type to a .npy file; used in a `with` block, whose end makes it whole."""

    def __init__(self, path: Path, dtype: type[np.generic]) -> None:
        self._dtype = np.dtype(dtype)
        self._file = path.open("wb")
        self._length = 0
        self._write_header()

    def append(self, array: np.ndarray) -> None:
        """Adds the values of `array` at the end."""
        np.ascontiguousarray(array, dtype=self._dtype).tofile(self._file)
        self._length += len(array)

    def _write_header(self) -> None:
        # numpy leaves room in the header for the first dimension to grow.
        header = {"descr": npy_format.dtype_to_descr(self._dtype), "fortran_order": False, "shape": (self._length,)}
        npy_format.write_array_header_1_0(self._file, header)

    def __enter__(self) -> "NpyWriter":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        with self._file:
            self._file.seek(0)
            self._write_header()


class NpyRows:
    """Writes the rows of a two-dimensional .npy file, some at a time, and goes on where an earlier writer was ended.

    `count`: rows that there will be, so that numpy reads the file when it is whole and refuses it before. `written`:
    the rows that are there; half a row does not count. Used in a `with` block.
    """

    def __init__(self, path: Path, count: int, dtype: str) -> None:
        self._count = count
        self._dtype = np.dtype(dtype)
        self._file = path.open("r+b" if path.exists() else "w+b")
        self._dim: int | None = None  # known from the first row on
        self.written = 0
        self._go_on()

    def _go_on(self) -> None:
        """Counts whole rows and cuts off what comes after; a file of other rows is begun anew."""
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
        """Adds rows, [n, dim], and hands them to the system; raises ValueError for another dim than before."""
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
    """Tells the system that a memory-mapped array is read here and there: where it does not fit into memory, the system
    would else read many pages around each that is asked for. Of an array that is not mapped nothing is said.
    """
    owner: object = array
    while isinstance(owner, np.ndarray):
        owner = owner.base
    if isinstance(owner, mmap.mmap) and hasattr(mmap, "MADV_RANDOM"):
        owner.madvise(mmap.MADV_RANDOM)
