"""Arrays in files: .npy that holds numbers only, and memory-mapped arrays."""

import mmap
from pathlib import Path
from typing import Literal

import numpy as np


def load_array(path: Path, mmap_mode: Literal["r"] | None = None) -> np.ndarray:
    """The array of a .npy file, unpickling nothing; with `mmap_mode` it is memory-mapped.

    Raises ValueError for a file that is damaged or holds something else, and OSError where it cannot be read.
    """
    try:
        array = np.load(path, mmap_mode, allow_pickle=False)
    except OSError:
        raise
    except Exception as error:  # numpy evaluates the header as Python, which can raise nearly anything
        raise ValueError(f"{path.name} is not a readable array ({type(error).__name__})") from error
    if not isinstance(array, np.ndarray):
        raise ValueError(f"{path.name} is an archive, not one array")
    return array.view(np.ndarray)


def read_at_random(array: np.ndarray) -> None:
    """Tells the system that a memory-mapped array is read at random places, so that it does not read ahead.

    Reading ahead slows down a file that does not fit into memory. Arrays that are not memory-mapped are left alone.
    """
    owner: object = array
    while isinstance(owner, np.ndarray):
        owner = owner.base
    if isinstance(owner, mmap.mmap) and hasattr(mmap, "MADV_RANDOM"):
        owner.madvise(mmap.MADV_RANDOM)
