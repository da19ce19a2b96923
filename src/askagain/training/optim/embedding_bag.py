"""Sums of table rows whose gradient is as small as the batch: one row for each distinct row of the table in it."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from askagain.text.bags import Bags
from askagain.training.kernels.choice import gpu_kernels, native_kernels


class TensorBags(NamedTuple):
    """Bags as an `EmbeddingBag` with `include_last_offset` takes them, and their inverse: the bags of each row.

    `ids`: [tokens] int32, rows of a table; `offsets`: [bags + 1] int32. `rows`: [distinct] int64, the rows that are
    used, rising; `users`: [tokens] int32, the bags that use the first of these rows, then those that use the second,
    and so on, a bag as often as it has the row; `user_offsets`: [distinct + 1] int32. A row may be repeated,
    without users after the first time. On a GPU there may be more ids and users than the last offset says.
    """

    ids: torch.Tensor
    offsets: torch.Tensor
    rows: torch.Tensor
    users: torch.Tensor
    user_offsets: torch.Tensor

    @classmethod
    def taken(cls, bags: Bags, chosen: np.ndarray) -> "TensorBags":
        """The bags at `chosen`, [n] integers, in that order, as tensors."""
        kernels = native_kernels() if bags.ids.dtype == np.int32 and bags.offsets.dtype == np.int64 else None
        if kernels is None:
            return cls.of(bags.take(chosen))
        return cls(*kernels.cut_bags(bags.ids, bags.offsets, np.ascontiguousarray(chosen, dtype=np.int64)))

    @classmethod
    def of(cls, bags: Bags) -> "TensorBags":
        """The same bags as tensors."""
        ids = np.asarray(bags.ids, dtype=np.int32)
        places = _stable_order(ids)  # equal rows keep their order, which is that of the bags
        rows = ids.take(places)
        bag_of_token = np.repeat(np.arange(len(bags), dtype=np.int32), bags.lengths)
        first = np.flatnonzero(_begins(rows))
        return cls(
            torch.from_numpy(ids),
            torch.from_numpy(np.asarray(bags.offsets, dtype=np.int32)),
            torch.from_numpy(rows[first].astype(np.int64)),
            torch.from_numpy(bag_of_token.take(places)),
            torch.from_numpy(np.append(first, len(rows)).astype(np.int32)),
        )


def _begins(rows: np.ndarray) -> np.ndarray:
    """Where sorted rows differ from the row before, [len(rows)] bool."""
    begins = np.ones(len(rows), dtype=bool)
    np.not_equal(rows[1:], rows[:-1], out=begins[1:])
    return begins


def _stable_order(ids: np.ndarray) -> np.ndarray:
    """Stable argsort of the ids as two 16-bit passes, which numpy does by radix sort, in a third of the time."""
    order = np.argsort(ids.astype(np.uint16), kind="stable")  # of the low half
    high = (ids >> 16).astype(np.uint16)
    return order.take(np.argsort(high.take(order), kind="stable")) if high.any() else order


def embedding_bag_sum(
    table: torch.Tensor, bags: TensorBags, sparse: bool, weights: torch.Tensor | None = None
) -> torch.Tensor:
    """The sum of the table rows of each bag, [bags, dim]; zero for an empty bag. With `weights`, one a row of the
    table, a row counts with its weight.

    The gradient of a table row is the sum of the gradients of the bags that use it, times its weight: an embedding bag
    again, over the inverse of the bags. The gradient of a weight is the product of its row and that sum. With `sparse`
    both are coalesced sparse tensors that hold what belongs to the distinct rows and nothing of the table's size; else
    dense ones, for optimizers that need them.
    """
    return _EmbeddingBagSum.apply(table, weights, *bags, sparse)


class _EmbeddingBagSum(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        table: torch.Tensor,
        weights: torch.Tensor | None,
        ids: torch.Tensor,
        offsets: torch.Tensor,
        rows: torch.Tensor,
        users: torch.Tensor,
        user_offsets: torch.Tensor,
        sparse: bool,
    ) -> torch.Tensor:
        learned = weights is not None and weights.requires_grad
        ctx.save_for_backward(rows, users, user_offsets, weights, table if learned else None)
        ctx.shape, ctx.sparse = table.shape, sparse
        kernels = gpu_kernels() if table.is_cuda and table.dtype == torch.float32 else None
        if kernels is not None:
            return kernels.bag_sums(table.contiguous(), ids, offsets, weights)
        return _sums(table, ids, offsets, None if weights is None else weights.index_select(0, ids))

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad_output: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        rows, users, user_offsets, weights, table = ctx.saved_tensors
        row_grads = row_sums(grad_output, users, user_offsets)
        weight_grads = None
        if table is not None:
            used_weight_grads = (table.index_select(0, rows) * row_grads).sum(dim=1)  # [distinct]
            weight_grads = gradient_at(rows, used_weight_grads, ctx.shape[:1], ctx.sparse)
        if weights is not None:
            row_grads = row_grads.mul_(weights.index_select(0, rows).unsqueeze(1))
        return gradient_at(rows, row_grads, ctx.shape, ctx.sparse), weight_grads, None, None, None, None, None, None


def split_rows(tensor: torch.Tensor, sizes: Sequence[int]) -> tuple[torch.Tensor, ...]:
    """`tensor.split(sizes)`; a gradient of the parts that lies in memory in one piece is not copied into another."""
    return _SplitRows.apply(tensor, sizes)


class _SplitRows(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, tensor: torch.Tensor, sizes: Sequence[int]) -> tuple[torch.Tensor, ...]:
        ctx.sizes = sizes
        return tensor.split(list(sizes))

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None]:
        first, place = gradients[0], gradients[0].storage_offset()
        for gradient in gradients:
            is_next = gradient.storage_offset() == place or not len(gradient)
            same = gradient.untyped_storage().data_ptr() == first.untyped_storage().data_ptr() or not len(gradient)
            if not (is_next and same and gradient.is_contiguous()):
                return torch.cat(gradients), None
            place += gradient.numel()
        return first.as_strided((sum(ctx.sizes), *first.shape[1:]), first.stride()), None


def row_sums(gradient: torch.Tensor, users: torch.Tensor, user_offsets: torch.Tensor) -> torch.Tensor:
    """The gradient of each distinct row, [distinct, dim], from that of the bags' sums, [bags, dim]."""
    gradient = gradient.contiguous()
    kernels = gpu_kernels() if gradient.is_cuda and gradient.dtype == torch.float32 else None
    return (_sums if kernels is None else kernels.row_sums)(gradient, users, user_offsets)


def gradient_at(rows: torch.Tensor, values: torch.Tensor, shape: torch.Size, sparse: bool) -> torch.Tensor:
    """A gradient that is `values` at `rows`, which are rising and, but for values of zero, distinct; zero elsewhere."""
    if sparse:
        return torch.sparse_coo_tensor(rows.unsqueeze(0), values, shape, is_coalesced=True, check_invariants=False)
    return values.new_zeros(shape).index_add_(0, rows, values)


def _sums(
    table: torch.Tensor, ids: torch.Tensor, offsets: torch.Tensor, weights: torch.Tensor | None = None
) -> torch.Tensor:
    return torch.nn.functional.embedding_bag(
        ids, table, offsets, mode="sum", include_last_offset=True, per_sample_weights=weights
    )
