"""Writes a .npy file whose length is known only when it is done."""

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
