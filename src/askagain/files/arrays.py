"""Arrays in files: .npy that holds numbers only, and memory-mapped arrays."""

import json
import math
import mmap
from pathlib import Path
from typing import Literal

import numpy as np

LENGTH_BYTES, LARGEST_HEADER = 8, 100_000_000  # of safetensors
TENSOR_TYPES = {"F32": "<f4", "F16": "<f2", "I8": "i1", "I64": "<i8", "U64": "<u8", "U8": "u1"}


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
    mapping = _mapping(array)
    if mapping is not None and hasattr(mmap, "MADV_RANDOM"):
        mapping.madvise(mmap.MADV_RANDOM)


def read_ahead(array: np.ndarray, places: np.ndarray) -> None:
    """Asks the system for the parts of a memory-mapped file that hold these places of its array, all at once.

    They are read while others are asked for, and not one after the other as each is used: for a file that does not fit
    into memory. `array`: the whole file. Arrays that are not memory-mapped are left alone.
    """
    mapping = _mapping(array)
    if mapping is not None and hasattr(mmap, "MADV_WILLNEED"):
        within = np.minimum(places, len(array) - 1)
        for page in np.unique(within * array.itemsize // mmap.PAGESIZE).tolist():
            mapping.madvise(mmap.MADV_WILLNEED, page * mmap.PAGESIZE, mmap.PAGESIZE)


def _mapping(array: np.ndarray) -> mmap.mmap | None:
    owner: object = array
    while isinstance(owner, np.ndarray):
        owner = owner.base
    return owner if isinstance(owner, mmap.mmap) else None


def read_tensors(path: Path, memory_map: bool = False) -> dict[str, np.ndarray]:
    """The tensors of a safetensors file, by name, as memory-mapped arrays if wanted; reads faster than the package.

    Raises ValueError, KeyError or TypeError for a damaged header.

    Source: the description of the format at https://github.com/huggingface/safetensors.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        header_bytes = int.from_bytes(file.read(LENGTH_BYTES), "little")
        if not 0 < header_bytes <= min(size - LENGTH_BYTES, LARGEST_HEADER):
            raise ValueError(f"{path.name} has no header of safetensors")
        header = json.loads(file.read(header_bytes))
    first = LENGTH_BYTES + header_bytes
    tensors = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        begin, end = entry["data_offsets"]
        dtype, shape = np.dtype(TENSOR_TYPES[entry["dtype"]]), tuple(entry["shape"])
        if not 0 <= begin <= end <= size - first or math.prod(shape) * dtype.itemsize != end - begin:
            raise ValueError(f"{path.name} has a tensor that does not fit into it")
        if memory_map and end > begin:
            tensors[name] = np.memmap(path, dtype, "r", first + begin, shape).view(np.ndarray)
        else:
            tensors[name] = np.fromfile(path, dtype, math.prod(shape), offset=first + begin).reshape(shape)
    return tensors
