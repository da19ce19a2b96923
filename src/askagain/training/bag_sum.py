"""Sums of table rows, whose gradient is as small as the batch: one sum for each distinct row that it used."""

from typing import Any, NamedTuple

import numpy as np
import torch

from askagain.text.bags import Bags


class TensorBags(NamedTuple):
    """Bags as an `EmbeddingBag` with `include_last_offset` takes them, and the same turned around.

    `ids`: [tokens] int32, rows of a table; `offsets`: [bags + 1] int32. `rows`: [distinct] int64, the rows that are
    used, rising; `users`: [tokens] int32, the bags that use the first of these rows, then those that use the second,
    and so on, a bag as often as it has the row; `user_offsets`: [distinct + 1] int32.
    """

    ids: torch.Tensor
    offsets: torch.Tensor
    rows: torch.Tensor
    users: torch.Tensor
    user_offsets: torch.Tensor

    @classmethod
    def of(cls, bags: Bags) -> "TensorBags":
        """The same bags as tensors."""
        ids = np.asarray(bags.ids, dtype=np.int64)
        # One sort of whole numbers, the row in the high half and the bag in the low one, is several times faster than
        # sorting places by row.
        use = (ids << 32) | np.repeat(np.arange(len(bags)), bags.lengths)
        use.sort()
        rows = use >> 32
        first = np.flatnonzero(np.diff(rows, prepend=-1))  # where another row begins
        return cls(
            torch.from_numpy(ids.astype(np.int32)),
            torch.from_numpy(np.asarray(bags.offsets, dtype=np.int32)),
            torch.from_numpy(rows[first]),
            torch.from_numpy(use.astype(np.int32)),  # the low half
            torch.from_numpy(np.append(first, len(rows)).astype(np.int32)),
        )


def bag_sum(table: torch.Tensor, bags: TensorBags, sparse: bool) -> torch.Tensor:
    """The sum of the table rows of each bag, [bags, dim]; zero for an empty bag.

    The gradient of a table row is the sum of the gradients of the bags that use it: an embedding bag again, over the
    bags turned around. With `sparse` it is a coalesced sparse tensor that holds the distinct rows and their sums and
    nothing of the table's size; else a dense one, for optimizers that need it.
    """
    return _BagSum.apply(table, *bags, sparse)


class _BagSum(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        table: torch.Tensor,
        ids: torch.Tensor,
        offsets: torch.Tensor,
        rows: torch.Tensor,
        users: torch.Tensor,
        user_offsets: torch.Tensor,
        sparse: bool,
    ) -> torch.Tensor:
        ctx.save_for_backward(rows, users, user_offsets)
        ctx.shape, ctx.sparse = table.shape, sparse
        return _sums(table, ids, offsets)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, of_sums: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        rows, users, user_offsets = ctx.saved_tensors
        of_rows = _sums(of_sums.contiguous(), users, user_offsets)  # [distinct, dim]
        if ctx.sparse:
            of_table = torch.sparse_coo_tensor(
                rows.unsqueeze(0), of_rows, ctx.shape, is_coalesced=True, check_invariants=False
            )
        else:
            of_table = of_rows.new_zeros(ctx.shape).index_copy_(0, rows, of_rows)
        return of_table, None, None, None, None, None, None


def _sums(table: torch.Tensor, ids: torch.Tensor, offsets: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.embedding_bag(ids, table, offsets, mode="sum", include_last_offset=True)
