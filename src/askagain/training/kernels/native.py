"""The kernels for processors, in C."""

import ctypes
from functools import cache
from pathlib import Path

import numpy as np
import torch

from askagain.native.library import Library

CHUNK = 32  # rows of logits that one thread takes at a time
PART = 64  # bags, likewise
SUFFIXES = {torch.bfloat16: "bfloat16", torch.float32: "float32"}

Integer, Real = ctypes.c_int64, ctypes.c_float


class NativeKernels:
    """See `askagain.training.kernels.choice.Kernels`; what is not there is for processors alone."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._library = library

    def cut_bags(
        self, ids: np.ndarray, offsets: np.ndarray, chosen: np.ndarray
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """The bags `chosen`, [n] int64, as the parts of a `TensorBags`.

        `ids`: of all bags, int32. `offsets`: [bags + 1] int64. Raises IndexError for a bag that is not there.
        """
        placed = torch.empty(len(chosen) + 1, dtype=torch.int32)
        own, which = _array(offsets), (_array(chosen), Integer(len(chosen)))
        sizes = (Integer(len(offsets) - 1), Integer(len(ids)))
        tokens = self._library.place_bags(own, *sizes, *which, _tensor(placed))
        if tokens < 0:
            raise IndexError("a bag that is not among the bags")
        taken, users = (torch.empty(tokens, dtype=torch.int32) for _ in range(2))
        rows, user_offsets = torch.empty(tokens, dtype=torch.int64), torch.empty(tokens + 1, dtype=torch.int32)
        keys = torch.empty(2 * tokens, dtype=torch.int64)
        outputs = map(_tensor, (placed, taken, rows, users, user_offsets, keys))
        distinct = self._library.cut_bags(_array(ids), own, *which, *outputs, torch.get_num_threads())
        return taken, placed, rows[:distinct], users, user_offsets[: distinct + 1]

    def take_rows(self, table: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        """`table.index_select(0, rows)` of a [n, dim] float32 table and [k] int64 rows.

        Raises IndexError for a row that is not there.
        """
        taken = table.new_empty(len(rows), table.shape[1])
        sizes = map(Integer, table.shape)
        wanted = (_tensor(rows), Integer(len(rows)))
        if self._library.take_rows(_tensor(table), *sizes, *wanted, _tensor(taken), torch.get_num_threads()) < 0:
            raise IndexError("a row that is not in the table")
        return taken

    def bag_errors(
        self, table: torch.Tensor, ids: torch.Tensor, offsets: torch.Tensor, targets: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The mean squared error, a scalar, of each bag's sum of rows, and its gradient of these sums, [bags, dim].

        `table`: [n, dim], `targets`: [bags, dim], float32. `ids`: [tokens], `offsets`: [bags + 1], int32. Raises
        IndexError for a row that is not there.
        """
        bags, dim = targets.shape
        gradients, parts = torch.empty_like(targets), torch.empty(-(-bags // PART), dtype=torch.float64)
        own = (_tensor(table), Integer(len(table)), Integer(dim))
        others = map(_tensor, (targets, gradients, parts))
        which = (_tensor(ids), _tensor(offsets), Integer(bags))
        error = self._library.bag_errors(*own, *which, *others, torch.get_num_threads())
        if error < 0:
            raise IndexError("a row that is not in the table")
        return table.new_tensor(error), gradients

    def update_rows(
        self,
        table: torch.Tensor,
        moments: torch.Tensor,
        rows: torch.Tensor,
        gradients: torch.Tensor,
        lr: float,
        eps: float,
    ) -> None:
        tensors = map(_tensor, (table, moments, rows, gradients))
        sizes = (Integer(len(rows)), Integer(table.shape[1]))
        self._library.update_rows(*tensors, *sizes, Real(lr), Real(eps), torch.get_num_threads())

    def unit_pairs(
        self,
        queries: torch.Tensor,
        positives: torch.Tensor,
        eps: float,
        divisor: float,
        product_type: torch.dtype,
        multiple: int,
    ) -> tuple[torch.Tensor, ...]:
        pairs, dim = queries.shape
        width = -(-dim // multiple) * multiple
        units, lengths = queries.new_empty(2 * pairs, width), queries.new_empty(2 * pairs)
        scaled, others = (queries.new_empty(pairs, width, dtype=product_type) for _ in range(2))
        outputs = (units, lengths, scaled, others, queries.new_empty(pairs))
        sizes = map(Integer, (pairs, dim, width))
        function = getattr(self._library, f"unit_pairs_{SUFFIXES[product_type]}")
        settings = (Real(eps), Real(divisor), torch.get_num_threads())
        function(*map(_tensor, (queries, positives)), *sizes, *map(_tensor, outputs), *settings)
        return outputs

    def row_gradients(
        self,
        gradient: torch.Tensor,
        units: torch.Tensor,
        lengths: torch.Tensor,
        dim: int,
        eps: float,
        query_divisor: float,
        positive_divisor: float,
    ) -> torch.Tensor:
        rows, width = units.shape
        gradients = units.new_empty(rows, dim)
        tensors = map(_tensor, (gradient, units, lengths, gradients))
        settings = (*map(Integer, (rows, dim, width)), *map(Real, (eps, query_divisor, positive_divisor)))
        function = getattr(self._library, f"row_gradients_{SUFFIXES[gradient.dtype]}")
        function(*tensors, *settings, torch.get_num_threads())
        return gradients

    def sum_exponentials(
        self, logits: torch.Tensor, diagonal: torch.Tensor, groups: torch.Tensor | None, start: int, with_logits: bool
    ) -> tuple[torch.Tensor, torch.Tensor]:
        rows, pairs = logits.shape
        kinds = 2 if with_logits else 1
        row_sums, column_sums = diagonal.new_empty(kinds, rows), diagonal.new_empty(kinds, pairs)
        parts = diagonal.new_empty(-(-rows // CHUNK), kinds, pairs)
        groups, sizes_of_groups = self._with_sizes(groups)
        inputs = map(_tensor, (logits, diagonal, groups, sizes_of_groups))
        sizes = map(Integer, (start, rows, pairs, kinds))
        function = getattr(self._library, f"sum_exponentials_{SUFFIXES[logits.dtype]}")
        function(*inputs, *sizes, *map(_tensor, (row_sums, column_sums, parts)), torch.get_num_threads())
        return row_sums, column_sums

    def put_weights(
        self,
        logits: torch.Tensor,
        diagonal: torch.Tensor,
        groups: torch.Tensor | None,
        start: int,
        factors: torch.Tensor,
        own: float,
        targets: torch.Tensor | None,
    ) -> None:
        rows, pairs = logits.shape
        groups, sizes_of_groups = self._with_sizes(groups)
        inputs = map(_tensor, (logits, diagonal, groups, sizes_of_groups))
        sizes = map(Integer, (start, rows, pairs))
        function = getattr(self._library, f"put_weights_{SUFFIXES[logits.dtype]}")
        function(*inputs, *sizes, _tensor(factors), Real(own), _tensor(targets), torch.get_num_threads())

    def group_sizes(self, groups: torch.Tensor) -> torch.Tensor:
        groups = groups.to(torch.int64)
        sizes = torch.empty(len(groups), dtype=torch.int32)
        bits = max(1, (2 * len(groups)).bit_length())
        slots = torch.full((2**bits,), -1, dtype=torch.int32)
        self._library.group_sizes(_tensor(groups), Integer(len(groups)), _tensor(slots), bits, _tensor(sizes))
        return sizes

    def _with_sizes(self, groups: torch.Tensor | None) -> tuple[torch.Tensor | None, torch.Tensor | None]:
        """The groups as int64, and the size of each."""
        return (None, None) if groups is None else (groups.to(torch.int64), self.group_sizes(groups))


def kernels() -> NativeKernels | None:
    """The kernels, which it waits for; None where there are none."""
    library = _library.loaded(wait=True)
    return None if library is None else _of(library)


@cache
def _of(library: ctypes.CDLL) -> NativeKernels:
    return NativeKernels(library)


def start() -> None:
    """Begins to compile or to load them, beside other work."""
    _library.start()


def _openmp_runtime() -> str | None:
    """The file of the OpenMP runtime that PyTorch uses, as two would fight for the processor; None: it is unknown."""
    try:
        lines = Path("/proc/self/maps").read_text().splitlines()
    except OSError:
        return None
    files = dict.fromkeys(line.split(maxsplit=5)[-1] for line in lines if "omp" in line)
    runtimes = [file for file in files if Path(file).name.startswith(("libgomp", "libiomp5", "libomp"))]
    own = [file for file in runtimes if Path(file).is_relative_to(Path(torch.__file__).parent)]
    return next(iter(own or runtimes), None)


RESULTS = {**dict.fromkeys(("place_bags", "cut_bags", "take_rows"), Integer), "bag_errors": ctypes.c_double}
FLAGS = ("-fopenmp", f"-DCHUNK={CHUNK}", f"-DPART={PART}")
_library = Library(Path(__file__).with_name("native.c"), FLAGS, _openmp_runtime, RESULTS)


def _tensor(tensor: torch.Tensor | None) -> ctypes.c_void_p:
    if tensor is not None and not tensor.is_contiguous():
        raise ValueError("a tensor that is not in one piece")
    return ctypes.c_void_p(None if tensor is None else tensor.data_ptr())


def _array(array: np.ndarray) -> ctypes.c_void_p:
    if not array.flags.c_contiguous:
        raise ValueError("an array that is not in one piece")
    return ctypes.c_void_p(array.ctypes.data)
