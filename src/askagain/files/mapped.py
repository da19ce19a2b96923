"""Memory-mapped arrays."""

import mmap

import numpy as np


def read_at_random(array: np.ndarray) -> None:
    """Tells the system that a memory-mapped array is read at random places, so that it does not read ahead.

    Reading ahead slows down a file that does not fit into memory. Arrays that are not memory-mapped are left alone.
    """
    owner: object = array
    while isinstance(owner, np.ndarray):
        owner = owner.base
    if isinstance(owner, mmap.mmap) and hasattr(mmap, "MADV_RANDOM"):
        owner.madvise(mmap.MADV_RANDOM)
