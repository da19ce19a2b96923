"""Ranks in C: how far candidates lead over the duplicate of their row, see `askagain.ranking.ranks`."""

import ctypes
from pathlib import Path

import numpy as np

from askagain.native.library import Library, pointer

COMPILED_AT = 100_000  # candidates of a call; with fewer, what was compiled before is used

Integer = ctypes.c_int64
_library = Library(Path(__file__).with_name("ranks.c"), ("-fopenmp-simd",))


def leads(vectors: np.ndarray, ids: np.ndarray, offsets: np.ndarray, width: int, wait: bool) -> np.ndarray | None:
    """By how much each candidate scores above the duplicate, [rows, width] float32, minus infinity where there is none.

    `vectors`: [texts, dim] float32. `ids`: indices of texts; row `r` is `ids[offsets[r]:offsets[r + 1]]`: a question,
    its duplicate and the candidates, `width` at most. None where there is no library, or none yet and one does not
    `wait`. Raises IndexError for an index without a text, and for a row of fewer than two texts.
    """
    library = _library.loaded(wait, may_compile=wait)
    if library is None or vectors.dtype != np.float32 or not vectors.flags.c_contiguous:
        return None
    lengths = np.diff(offsets)
    if len(lengths) and (lengths.min() < 2 or lengths.max() > 2 + width or offsets[0] < 0 or offsets[-1] > len(ids)):
        raise IndexError("rows that are too short, or not in order")
    ids = np.ascontiguousarray(ids[: offsets[-1]], dtype=np.int32)
    if len(ids) and (ids.min() < 0 or ids.max() >= len(vectors)):
        raise IndexError("an index without a text")
    leads = np.full((len(lengths), width), -np.inf, dtype=np.float32)
    rows = (pointer(ids), pointer(np.ascontiguousarray(offsets, dtype=np.int64)), Integer(len(lengths)))
    library.put_leads(pointer(vectors), Integer(vectors.shape[1]), *rows, Integer(width), pointer(leads))
    return leads
