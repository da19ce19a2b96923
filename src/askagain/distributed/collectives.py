"""Collectives: how the ranks that train one model together share work and combine its results."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import distributed


@dataclass
class World:
    """The ranks that train together, as one of them sees it; with one rank, no collective sends anything.

    Attributes:
        rank: this process's number, from 0.
        size: how many ranks there are.
        bytes_crossed: what this rank has passed to `all_reduce` so far, in bytes.
    """

    rank: int = 0
    size: int = 1
    bytes_crossed: int = 0

    @classmethod
    def current(cls) -> "World":
        """The world of torch's process group; a single rank without one."""
        if not (distributed.is_available() and distributed.is_initialized()):
            return cls()
        return cls(distributed.get_rank(), distributed.get_world_size())

    def shard(self, count: int) -> slice:
        """This rank's contiguous slice of `count` items; the ranks' sizes differ by at most one."""
        return slice(self.rank * count // self.size, (self.rank + 1) * count // self.size)

    def all_reduce(self, tensor: torch.Tensor) -> torch.Tensor:
        """Replaces `tensor` by its sum over all ranks, the same bits on every rank, and returns it."""
        if self.size > 1:
            self.bytes_crossed += tensor.nbytes
            distributed.all_reduce(tensor)
        return tensor

    def agrees_on(self, tensor: torch.Tensor) -> bool:
        """True if `tensor`, float64, has the same bits on all ranks."""
        if self.size == 1:
            return True
        bits = tensor.view(torch.int64)
        ends = torch.stack([bits, ~bits])  # the larger a number, the smaller its complement
        distributed.all_reduce(ends, op=distributed.ReduceOp.MAX)
        return torch.equal(ends[0], ~ends[1])

    def all_reduce_grad(self, tensor: torch.Tensor) -> torch.Tensor:
        """The same tensor, whose gradient is summed over all ranks."""
        return _AllReduceGradient.apply(tensor, self) if self.size > 1 else tensor

    def all_gather(self, own: np.ndarray, count: int) -> np.ndarray:
        """The shards of all ranks in order of ranks, [count, ...]; `own` is this rank's, that of `shard(count)`."""
        if self.size == 1:
            return own
        parts = np.zeros((count, *own.shape[1:]), dtype=own.dtype)
        parts[self.shard(count)] = own
        return self.all_reduce(torch.from_numpy(parts)).numpy()


class _AllReduceGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, tensor: torch.Tensor, world: World) -> torch.Tensor:
        ctx.world = world
        return tensor.view_as(tensor)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        return ctx.world.all_reduce(gradient.clone(memory_format=torch.contiguous_format)), None
