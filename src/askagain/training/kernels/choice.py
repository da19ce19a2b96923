"""Which kernels are in use on a device: fused ones where they can be had, or none, which means PyTorch's own."""

import importlib.util
from functools import cache
from typing import Protocol

import torch

AUTO, PLAIN = "auto", "plain"
CHOICES = (AUTO, PLAIN)
_chosen = AUTO


class Kernels(Protocol):
    """Fused kernels of one kind of device; a module is one. All tensors are on it, contiguous, and in float32 unless
    something else is said.
    """

    def row_sums(self, gradients: torch.Tensor, users: torch.Tensor, user_offsets: torch.Tensor) -> torch.Tensor:
        """The sum of the gradients of the bags that use each row, [rows, dim]; see `TensorBags`.

        `gradients`: [bags, dim]. Always added up in the same order.
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

    def sum_exponentials(
        self, logits: torch.Tensor, diagonal: torch.Tensor, groups: torch.Tensor | None, start: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The sums of 2 to the power of each logit, [rows] and [b], over the columns and over the rows of a block.

        `logits`: [rows, b], float32 or bfloat16, of the rows from `start` on of a [b, b] matrix whose `diagonal`, [b],
        is used in its place. `groups`: [b] integers; a logit between two of the same group counts 0, but for the
        diagonal.
        """

    def put_weights(
        self,
        logits: torch.Tensor,
        diagonal: torch.Tensor,
        groups: torch.Tensor | None,
        start: int,
        factors: torch.Tensor,
        own: float,
    ) -> None:
        """Replaces logits x_ij by 2^x_ij (factors[0, i] + factors[1, j]), less `own` on the diagonal.

        The arguments are those of `sum_exponentials`; `factors`: [2, b].
        """


def use(choice: str) -> None:
    """Chooses for this process, until the next call: `auto`, or `plain` for PyTorch's own kernels everywhere."""
    global _chosen
    _chosen = choice


def fused(device: torch.device) -> Kernels | None:
    """The fused kernels for a device; None where they cannot be had or are not chosen."""
    if _chosen == PLAIN:
        return None
    return _on_gpu() if device.type == "cuda" else None


@cache
def _on_gpu() -> Kernels | None:
    if importlib.util.find_spec("triton") is None:  # PyTorch has it on Linux
        return None
    from askagain.training.kernels import gpu

    return gpu
