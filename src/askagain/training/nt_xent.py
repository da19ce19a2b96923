"""NT-Xent: every question should be most alike to its own duplicate among all the duplicates of the batch."""

from collections.abc import Iterator
from typing import Any

import torch

BLOCK_LOGITS = 2**22  # logits computed at a time: 16 MiB in float32
KEPT_LOGITS = 2**26  # up to so many exponentials are kept for the gradient, 256 MiB; more are computed twice
LARGEST_FLOAT32_LOGIT = 40.0  # sums of exponentials of this and of minus this are far inside of float32
SMALLEST_TEMPERATURE = 0.0015  # the exponential of one over it is still inside of float64


def nt_xent(
    queries: torch.Tensor,
    positives: torch.Tensor,
    groups: torch.Tensor | None,
    temperature: float,
    eps: float,
) -> torch.Tensor:
    """The symmetric NT-Xent loss of a batch of b pairs, a scalar.

    With unit rows Q, D and temperature t it is the mean over i of
    -1/2 log softmax_row(Q D'/t)_ii - 1/2 log softmax_row(D Q'/t)_ii.

    `queries`, `positives`: [b, dim], any length; rows shorter than `eps` are divided by `eps` instead of their length,
    so that zero rows stay zero and their gradients finite. `groups`: [b] integers; the other members of a pair's own
    group are left out of its softmax rows instead of being pushed away (None: nothing is masked). `temperature`:
    `SMALLEST_TEMPERATURE` or more.

    Both directions share one matrix of exponentials. The gradient is computed beside the loss, from its closed form,
    so it can be taken once and not differentiated again. Under autocast the matrix products are in its type, sums and
    exponentials in float32 or, where the temperature is so low that they would not fit, in float64. Memory grows with
    b, not with its square, from `KEPT_LOGITS` on.

    Source: Chen et al., "A Simple Framework for Contrastive Learning of Visual Representations", ICML 2020, with the
    two directions of Radford et al., "Learning Transferable Visual Models From Natural Language Supervision", 2021.
    """
    wanted = torch.is_grad_enabled() and (queries.requires_grad or positives.requires_grad)
    return _NTXent.apply(queries, positives, groups, temperature, eps, wanted)


class _NTXent(torch.autograd.Function):
    """The loss, with its gradient from the closed form: with E = exp(Q D'/t), its row sums r and column sums c,
    and P_ij = E_ij (1/r_i + 1/c_j), the gradient of Q is (P D - 2 D) / 2bt, that of D is (P'Q - 2 Q) / 2bt.
    """

    @staticmethod
    def forward(
        ctx: Any,
        queries: torch.Tensor,
        positives: torch.Tensor,
        groups: torch.Tensor | None,
        temperature: float,
        eps: float,
        gradient_wanted: bool,
    ) -> torch.Tensor:
        device = queries.device.type
        product_type = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else queries.dtype
        with torch.autocast(device, enabled=False):
            q, q_lengths = _units(queries, eps)
            d, d_lengths = _units(positives, eps)
            batch = _Exponentials(q / temperature, d, groups, 1 / temperature, product_type)
            kept = {}
            rows, columns = torch.empty_like(batch.diagonal), torch.zeros_like(batch.diagonal)  # [b] each
            for block in batch.blocks():
                exponentials = batch.block(block)
                rows[block] = exponentials.sum(dim=1)
                columns += exponentials.sum(dim=0)
                if gradient_wanted and batch.size**2 <= KEPT_LOGITS:
                    kept[block.start] = exponentials
            loss = ((rows.log() + columns.log()) / 2 - batch.diagonal).mean().to(queries.dtype)
            if gradient_wanted:
                of_q, of_d = torch.empty_like(q), torch.zeros_like(d)
                for block in batch.blocks():
                    exponentials = kept.pop(block.start) if kept else batch.block(block)
                    weights = exponentials.mul_(rows[block, None].reciprocal() + columns.reciprocal())
                    weights = weights.to(product_type)  # [block, b]
                    of_q[block] = weights @ batch.positives
                    of_d += weights.T @ batch.queries[block]
                of_q.sub_(d, alpha=2).div_(2 * batch.size * temperature)
                of_d.sub_(q, alpha=2 / temperature).div_(2 * batch.size)
                ctx.save_for_backward(_through_units(of_q, q, q_lengths, eps), _through_units(of_d, d, d_lengths, eps))
            return loss

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, of_loss: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        of_queries, of_positives = ctx.saved_tensors
        return of_queries * of_loss, of_positives * of_loss, None, None, None, None


class _Exponentials:
    """The exponentials of all logits of a batch, masked ones zero, a block of rows at a time.

    `queries`: [b, dim], unit rows over the temperature; `positives`: [b, dim] unit rows.
    """

    def __init__(
        self,
        queries: torch.Tensor,
        positives: torch.Tensor,
        groups: torch.Tensor | None,
        largest: float,
        product_type: torch.dtype,
    ) -> None:
        self.size = len(queries)
        self.sum_type = torch.promote_types(
            queries.dtype, torch.float32 if largest <= LARGEST_FLOAT32_LOGIT else torch.float64
        )
        # A pair's own logit counts most, so it is not rounded to the type of the products.
        self.diagonal = (queries * positives).sum(dim=1).to(self.sum_type)
        self.queries = queries.to(product_type)
        self.positives = positives.to(product_type)
        self._groups = groups
        self._shared = None if groups is None or groups.is_cuda else _rows_of_shared_groups(groups)

    def blocks(self) -> Iterator[slice]:
        """Slices of rows, one after the other."""
        rows = max(1, BLOCK_LOGITS // self.size)
        return (slice(start, min(start + rows, self.size)) for start in range(0, self.size, rows))

    def block(self, block: slice) -> torch.Tensor:
        """The exponentials of some rows' logits, [rows, b]."""
        exponentials = (self.queries[block] @ self.positives.T).to(self.sum_type).exp_()
        if self._groups is None:
            pass
        elif self._shared is not None:
            rows = self._shared[(self._shared >= block.start) & (self._shared < block.stop)]
            masked = exponentials[rows - block.start].masked_fill_(self._groups[rows, None] == self._groups, 0)
            exponentials[rows - block.start] = masked
        else:  # on a GPU, where finding the rows would have to wait for it
            exponentials.masked_fill_(self._groups[block, None] == self._groups, 0)
        exponentials.diagonal(block.start).copy_(self.diagonal[block].exp())
        return exponentials


def _rows_of_shared_groups(groups: torch.Tensor) -> torch.Tensor:
    """The rows whose group has another pair in the batch."""
    _, group, counts = groups.unique(return_inverse=True, return_counts=True)
    return torch.nonzero(counts[group] > 1).squeeze(1)


def _units(vectors: torch.Tensor, eps: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Unit rows, and the [b, 1] lengths they were divided by."""
    vectors = vectors.detach()
    lengths = torch.linalg.vector_norm(vectors, dim=1, keepdim=True).clamp_min_(eps)
    return vectors / lengths, lengths


def _through_units(gradient: torch.Tensor, units: torch.Tensor, lengths: torch.Tensor, eps: float) -> torch.Tensor:
    """The gradient of rows, given the gradient of their unit rows: what points along a row changes nothing."""
    along = (gradient * units).sum(dim=1, keepdim=True)
    along.masked_fill_(lengths <= eps, 0)  # such a row was divided by a constant
    return gradient.addcmul_(units, along, value=-1).div_(lengths)
