"""The checks that every table of word vectors must pass, whatever file it comes from."""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from askagain.errors import InputError

ROWS_AT_ONCE = 1 << 14
LARGEST = 1e9  # a number in a vector: the squares of sums of larger ones may be too large for float32

log = logging.getLogger(__name__)


def usable_table(words: Sequence[str], table: np.ndarray, path: Path, place: Callable[[int], str]) -> np.ndarray:
    """The table as float32, [words, dim], without a copy where it has that type already.

    `place` describes where a row is in the file. Raises InputError where there are no vectors, where words and vectors
    do not match, and where a number is not finite, or beyond `LARGEST`.
    """
    if table.ndim != 2 or table.dtype.kind != "f":
        raise InputError(
            f"{path} holds a {table.dtype} array of shape {table.shape}, not rows of vectors: save it again"
        )
    if len(words) != len(table):
        raise InputError(f"{path} holds {len(words)} words and {len(table)} vectors: save or download it again")
    if not table.size:
        raise InputError(f"{path} holds no vectors: save or download it again")
    with np.errstate(over="ignore"):  # a float64 too large for float32 becomes infinite and is refused below
        table = table.astype(np.float32, copy=False)
    row = _first_unusable(table)
    if row is not None:
        what = f"a number beyond {LARGEST:,.0f}" if np.isfinite(table[row]).all() else "NaN or an infinite number"
        word = " ".join(words[row].split())  # one of a binary file may have line ends
        raise InputError(f"{place(row)}: the vector of '{word}' holds {what}: remove the word")
    return table


def log_duplicates(count: int, path: Path) -> None:
    """Logs how many words of a file were left out because they are there twice."""
    if count:
        log.info("%s: %d duplicate words; the first of each was kept", path, count)


def _first_unusable(table: np.ndarray) -> int | None:
    for start in range(0, len(table), ROWS_AT_ONCE):
        usable = (np.abs(table[start : start + ROWS_AT_ONCE]) <= LARGEST).all(axis=1)
        if not usable.all():
            return start + int(np.argmin(usable))
    return None
