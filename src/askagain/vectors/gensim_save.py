"""Reads what gensim's `KeyedVectors.save` wrote, without running code that the file names.

The file is a pickle, and a pickle may call any function. The few classes that a save of KeyedVectors needs are replaced
by a stand-in that only holds the saved state; all others are refused.
"""

import io
import pickle
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from askagain.errors import InputError
from askagain.files.arrays import load_array
from askagain.files.memory import memory_limit
from askagain.files.opened import head, is_gzip
from askagain.vectors.usable_table import usable_table

FLOAT_CODES = ("f2", "f4", "f8")
SIDE_FILE = ".vectors.npy"  # where gensim puts a large table
SIGNATURE, SIGNATURE_WITHIN = b"gensim.models.keyedvectors", 1 << 10
SMALL_BYTES = 1 << 20
OBJECT_BYTES = 32  # that a byte of the file may become in memory
FREE_BYTES = 128 << 20
RE_SAVE = "save them again with gensim's save_word2vec_format and read that file"


class _Saved:
    """Stands in for any object of the pickle: holds its arguments and its state, without behaviour."""

    args: tuple[Any, ...] = ()
    state: Any = None

    def __init__(self, *args: Any) -> None:
        self.args = args

    def __setstate__(self, state: Any) -> None:
        self.state = state


class _StandInUnpickler(pickle.Unpickler):
    NAMES = frozenset(
        {
            ("gensim.models.keyedvectors", "KeyedVectors"),
            ("numpy", "ndarray"),
            ("numpy", "dtype"),
            ("numpy._core.multiarray", "_reconstruct"),
            ("numpy.core.multiarray", "_reconstruct"),  # numpy 1
        }
    )

    def __init__(self, file: BinaryIO, path: Path) -> None:
        super().__init__(file)
        self.path = path

    def find_class(self, module: str, name: str) -> type[_Saved]:
        if (module, name) not in self.NAMES:
            raise InputError(f"{self.path} is not a plain save of KeyedVectors, it names {module}.{name}: {RE_SAVE}")
        return _Saved


def read_gensim_save(path: Path, limit: int | None) -> tuple[list[str], np.ndarray]:
    """The first `limit` words (None: all) and their table, [words, dim] float32.

    A large table, which gensim stores beside the file in `<path>.vectors.npy`, is memory-mapped. Raises InputError for
    a pickle of anything else, a damaged file and a missing table.
    """
    if is_gzip(path):
        raise InputError(f"{path} is a compressed pickle: unpack it with gunzip first")
    state = _state(path)
    words = state.get("index_to_key")
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise InputError(f"{path} holds no list of words: {RE_SAVE}")
    table = _array(state["vectors"], path) if "vectors" in state else _side_table(path)
    table = usable_table(words, table, path, lambda row: f"{path}, word {row + 1}")
    return words[:limit], table[:limit]


def _state(path: Path) -> dict[str, Any]:
    if path.stat().st_size > SMALL_BYTES and SIGNATURE not in head(path, SIGNATURE_WITHIN):  # it might take long
        raise InputError(f"{path} is a pickle but no save of KeyedVectors: {RE_SAVE}")
    content = path.read_bytes()
    try:
        # Read from memory, so that a length in a damaged file cannot exceed the file.
        with memory_limit(OBJECT_BYTES * len(content) + FREE_BYTES):
            saved = _StandInUnpickler(io.BytesIO(content), path).load()
    except InputError:
        raise
    except Exception as error:  # a damaged pickle can raise nearly anything
        raise InputError(f"{path} is not a readable gensim save ({type(error).__name__}): save it again") from error
    if not isinstance(saved, _Saved) or not isinstance(saved.state, dict):
        raise InputError(f"{path} is a pickle but no save of KeyedVectors: {RE_SAVE}")
    return saved.state


def _array(saved: Any, path: Path) -> np.ndarray:
    """The array of numpy's pickled state: (version, shape, dtype, Fortran order, bytes)."""
    try:
        _, shape, dtype, is_fortran, content = saved.state
        code, byte_order = dtype.args[0], dtype.state[1]
        if code not in FLOAT_CODES or byte_order not in ("<", ">"):
            raise ValueError(f"numbers of type {code}")
        return np.frombuffer(content, dtype=byte_order + code).reshape(shape, order="F" if is_fortran else "C")
    except (AttributeError, IndexError, TypeError, ValueError) as error:
        raise InputError(f"{path} holds a damaged table of vectors ({error}): {RE_SAVE}") from error


def _side_table(path: Path) -> np.ndarray:
    side = path.with_name(path.name + SIDE_FILE)
    if not side.is_file():
        raise InputError(f"{path} keeps its vectors in {side.name}, which is missing: copy it to {side.parent}")
    try:
        return load_array(side, "r")
    except (OSError, ValueError) as error:
        raise InputError(f"{side} cannot be used ({error}): {RE_SAVE}, or copy it again") from error
