"""Which kernels are in use on a device: fused ones where they can be had, or none, which means PyTorch's own."""

import importlib.util
import logging
from functools import cache
from typing import Any, Protocol

import torch

from askagain.native.library import PLAIN, choice
from askagain.training.kernels import native
from askagain.training.kernels.native import NativeKernels

log = logging.getLogger(__name__)


class Kernels(Protocol):
    """Fused kernels of one kind of device. All tensors are on it, contiguous, and in float32 unless something else is
    said.
    """

    def update_rows(
        self,
        table: torch.Tensor,
        moments: torch.Tensor,
        rows: torch.Tensor,
        gradients: torch.Tensor,
        lr: float,
        eps: float,
    ) -> None:
        """A step of `RowwiseAdagrad` with one second moment a row, in place.

        `table`: [n, dim]. `moments`: [n]. `rows`: [k] int64, rising; `gradients`: [k, dim], of which those of a row's
        second and further times are zero.
        """

    def unit_pairs(
        self,
        queries: torch.Tensor,
        positives: torch.Tensor,
        eps: float,
        divisor: float,
        product_type: torch.dtype,
        multiple: int,
    ) -> tuple[torch.Tensor, ...]:
        """What NT-Xent makes of the vectors of b pairs, [b, dim] each, before the first product.

        These are the unit rows of queries and positives, [2b, width], with columns of zeros up to a multiple of
        `multiple`; their lengths, at least `eps`, [2b]; the unit rows of queries over `divisor` and of positives, both
        [b, width] in `product_type`; and the products of each query's row with its own positive's, [b].
        """

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
        """The gradient of rows, [2b, dim], from the `gradient` of their `units`, both [2b, width].

        It is (g - (g . u) u) over the length and over `query_divisor` or `positive_divisor`. The projection is left out
        where the length was not above `eps`. The gradient of the units may be in bfloat16.
        """

    def sum_exponentials(
        self, logits: torch.Tensor, diagonal: torch.Tensor, groups: torch.Tensor | None, start: int, with_logits: bool
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Sums over the columns and over the rows of a block, [1, rows] and [1, b], of 2 to the power of each logit.

        `logits`: [rows, b], float32 or bfloat16, of the rows from `start` on of a [b, b] matrix whose `diagonal`, [b],
        is used in its place. `groups`: [b] integers; a logit between two of the same group is left out, but for the
        diagonal. `with_logits`: the sums of the logits themselves follow, [2, rows] and [2, b].
        """

    def group_sizes(self, groups: torch.Tensor) -> torch.Tensor:
        """How many of `groups`, [b] integers, are the same as each, itself among them, [b] integers."""

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
        """Replaces logits x_ij by 2^x_ij (factors[0, i] + factors[1, j]), less `own` on the diagonal.

        The other arguments are those of `sum_exponentials`; what is left out becomes 0. `factors`: [2, b]. `targets`:
        [2, b]; targets[0, i] + targets[1, j] is taken away as well (None: nothing is).
        """


def fused(device: torch.device) -> Kernels | None:
    """The fused kernels for a device; None where there are none, or `askagain.native.library.use` chose none."""
    if device.type == "cuda" and device.index in (None, torch.cuda.current_device()):  # where Triton launches
        return gpu_kernels()
    return native.kernels() if device.type == "cpu" else None


def native_kernels() -> NativeKernels | None:
    """The kernels for the processor, and what only these do."""
    return native.kernels()


def gpu_kernels() -> Any:
    """The module of kernels for CUDA, and what only these do; None where they cannot be had or are not chosen."""
    return None if choice() == PLAIN else _in_triton()


@cache
def _in_triton() -> Any:
    """The module, if a first kernel can be launched: Triton compiles its launcher, too, and needs Python's headers."""
    if importlib.util.find_spec("triton") is None:  # PyTorch has it on Linux
        return None
    try:
        from askagain.training.kernels import gpu

        numbers = torch.ones(1, 1, device="cuda")
        gpu.update_rows(numbers, numbers[0].clone(), numbers.long()[0] - 1, numbers.clone(), 0.0, 1.0)
    except Exception as error:  # whatever its compilers raise
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        log.warning("kernels: Triton does not work here (%s); PyTorch's own take over", reason)
        return None
    return gpu
