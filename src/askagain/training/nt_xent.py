"""NT-Xent: every question should be most alike to its own duplicate among all the duplicates of the batch."""

from collections.abc import Iterator
from typing import Any

import torch

BLOCK_LOGITS = 2**22  # logits computed at a time: 16 MiB in float32
KEPT_LOGITS = 2**26  # up to so many exponentials are kept for the gradient, 256 MiB in float32; more are computed twice
LARGEST_FLOAT32_LOGIT = 40.0  # sums of exponentials of this and of minus this are far inside of float32
WIDTH = 16  # float32 numbers in a vector register: matrices of such widths are multiplied faster
SMALLEST_TEMPERATURE = 0.0015  # the exponential of one over it is still inside of float64


def nt_xent(vectors: torch.Tensor, groups: torch.Tensor | None, temperature: float, eps: float) -> torch.Tensor:
    """The symmetric NT-Xent loss of a batch of b pairs, a scalar.

    With unit rows Q, D and temperature t it is the mean over i of
    -1/2 log softmax_row(Q D'/t)_ii - 1/2 log softmax_row(D Q'/t)_ii.

    `vectors`: [2b, dim], the queries, then their positives; of any length: rows shorter than `eps` are divided by `eps`
    instead of their length, so that zero rows stay zero and their gradients finite. `groups`: [b] integers; the other
    members of a pair's own group are left out of its softmax rows instead of being pushed away (None: nothing is
    masked). `temperature`: `SMALLEST_TEMPERATURE` or more.

    Both directions share one matrix of exponentials. The gradient is computed beside the loss, from its closed form,
    so it cannot be differentiated again. Under autocast the matrix products are in its type, and sums and exponentials
    in float32. Where the temperature is below 1 / `LARGEST_FLOAT32_LOGIT`, large logits would be rounded too much and
    exponentials would not fit: products are then in the type of `vectors`, sums and exponentials in float64. From
    `KEPT_LOGITS` on, memory grows with b and not with its square.

    Source: Chen et al., "A Simple Framework for Contrastive Learning of Visual Representations", ICML 2020, with the
    two directions of Radford et al., "Learning Transferable Visual Models From Natural Language Supervision", 2021.
    """
    gradient_wanted = torch.is_grad_enabled() and vectors.requires_grad
    return _NTXent.apply(vectors, groups, temperature, eps, gradient_wanted)


class _NTXent(torch.autograd.Function):
    """The loss, with its gradient from the closed form: with E = exp(Q D'/t), its row sums r, its column sums c, and
    W_ij = (E_ij (1/r_i + 1/c_j) - 2 [i = j]) / 2b, the gradient of Q is W D / t, that of D is W' Q / t.
    """

    @staticmethod
    def forward(
        ctx: Any,
        vectors: torch.Tensor,
        groups: torch.Tensor | None,
        temperature: float,
        eps: float,
        gradient_wanted: bool,
    ) -> torch.Tensor:
        device = vectors.device.type
        rounded = torch.is_autocast_enabled(device) and 1 / temperature <= LARGEST_FLOAT32_LOGIT
        product_type = torch.get_autocast_dtype(device) if rounded else vectors.dtype
        with torch.autocast(device, enabled=False):
            units, lengths = _units(vectors.detach(), eps)
            batch = _Exponentials(units, groups, temperature, product_type)
            kept = {}
            rows, columns = torch.empty_like(batch.diagonal), torch.zeros_like(batch.diagonal)  # [b] each
            for block in batch.blocks():
                exponentials = batch.block(block)
                rows[block] = exponentials.sum(dim=1)
                columns += exponentials.sum(dim=0)
                if gradient_wanted and batch.size**2 <= KEPT_LOGITS:
                    kept[block.start] = exponentials
            loss = ((rows.log() + columns.log()) / 2 - batch.diagonal).mean().to(vectors.dtype)
            if gradient_wanted:
                gradient = torch.empty_like(units)  # of the unit rows; that of Q times t
                of_rows, of_columns = ((2 * batch.size * sums).reciprocal() for sums in (rows, columns))
                for block in batch.blocks():
                    weights = kept.pop(block.start) if kept else batch.block(block)  # [block, b]
                    weights.mul_(of_rows[block, None] + of_columns).diagonal(block.start).sub_(1 / batch.size)
                    weights = weights.to(product_type)
                    _put_product(gradient[: batch.size][block], weights, batch.positives, add=False)
                    _put_product(gradient[batch.size :], weights.T, batch.queries[block], add=block.start > 0)
                ctx.save_for_backward(_through_units(gradient, units, lengths, temperature, eps)[:, : vectors.shape[1]])
            return loss

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, of_loss: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        (of_vectors,) = ctx.saved_tensors
        return (of_vectors * of_loss).contiguous(), None, None, None, None


class _Exponentials:
    """The exponentials of all logits of a batch, masked ones zero, a block of rows at a time.

    `units`: [2b, width], unit rows. `queries`, those of the queries over the temperature, and `positives`, [b, width],
    are in the type of the products.
    """

    def __init__(
        self, units: torch.Tensor, groups: torch.Tensor | None, temperature: float, product_type: torch.dtype
    ) -> None:
        self.size = len(units) // 2
        queries, positives = units[: self.size] / temperature, units[self.size :]
        fits = 1 / temperature <= LARGEST_FLOAT32_LOGIT
        self._sum_type = torch.promote_types(units.dtype, torch.float32 if fits else torch.float64)
        # A pair's own logit counts most, so it is not rounded to the type of the products.
        self.diagonal = torch.einsum("ij,ij->i", queries, positives).to(self._sum_type)
        self.queries = queries.to(product_type)
        self.positives = positives.to(product_type)
        self._groups = groups
        # On a GPU the rows are not sought, since finding them would have to wait for it.
        self._shared = None if groups is None or _waits(groups) else _rows_of_shared_groups(groups)

    def blocks(self) -> Iterator[slice]:
        """Slices of rows, one after the other."""
        rows = max(1, BLOCK_LOGITS // self.size)
        return (slice(start, min(start + rows, self.size)) for start in range(0, self.size, rows))

    def block(self, block: slice) -> torch.Tensor:
        """The exponentials of some rows' logits, [rows, b]."""
        exponentials = (self.queries[block] @ self.positives.T).to(self._sum_type).exp_()
        self._mask(exponentials, block)
        exponentials.diagonal(block.start).copy_(self.diagonal[block].exp())
        return exponentials

    def _mask(self, exponentials: torch.Tensor, block: slice) -> None:
        """Takes out the pairs of a pair's own group, itself among them."""
        if self._groups is None:
            return
        if self._shared is None:
            exponentials.masked_fill_(self._groups[block, None] == self._groups, 0)
            return
        rows = self._shared[(self._shared >= block.start) & (self._shared < block.stop)]
        places = rows - block.start
        exponentials[places] = exponentials[places].masked_fill_(self._groups[rows, None] == self._groups, 0)


def _put_product(target: torch.Tensor, first: torch.Tensor, second: torch.Tensor, add: bool) -> None:
    """Writes a matrix product into `target`, or adds it; the factors may be of a type with fewer digits."""
    if first.dtype == target.dtype:
        target.addmm_(first, second, beta=float(add))
    elif add:
        target.add_(first @ second)
    else:
        target.copy_(first @ second)


def _waits(tensor: torch.Tensor) -> bool:
    """Whether asking for values of a tensor waits for a device."""
    return tensor.is_cuda


def _rows_of_shared_groups(groups: torch.Tensor) -> torch.Tensor:
    """The rows whose group has another pair in the batch."""
    _, group, counts = groups.unique(return_inverse=True, return_counts=True)
    return torch.nonzero(counts[group] > 1).squeeze(1)


def _units(vectors: torch.Tensor, eps: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Unit rows, filled up with zeros to a width that is a multiple of `WIDTH`, and the [2b, 1] lengths they had."""
    dim = vectors.shape[1]
    lengths = torch.linalg.vector_norm(vectors, dim=1, keepdim=True).clamp_min_(eps)
    units = vectors.new_empty(len(vectors), -(-dim // WIDTH) * WIDTH)
    torch.div(vectors, lengths, out=units[:, :dim])
    units[:, dim:] = 0
    return units, lengths


def _through_units(
    gradient: torch.Tensor, units: torch.Tensor, lengths: torch.Tensor, temperature: float, eps: float
) -> torch.Tensor:
    """The gradient of rows, given the gradient of their unit rows: what points along a row changes nothing."""
    along = torch.einsum("ij,ij->i", gradient, units).unsqueeze(1)
    along.masked_fill_(lengths <= eps, 0)  # such a row was divided by a constant
    divisors = lengths.clone()
    divisors[: len(lengths) // 2] *= temperature
    return gradient.addcmul_(units, along, value=-1).div_(divisors)
