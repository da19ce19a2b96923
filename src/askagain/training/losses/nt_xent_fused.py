"""NT-Xent in blocks: the loss of a large batch and its gradient, computed together, in memory that stays bounded."""

from itertools import product
from typing import Any

import torch

from askagain.distributed.collectives import World
from askagain.training.kernels.choice import Kernels, fused
from askagain.training.losses.nt_xent_logits import LN_2, Blocking, Logits, fits_float32

FUSED_TYPES = (torch.float32, torch.bfloat16)  # of products
WIDTH = 16  # float32 numbers in a vector register: matrices of such widths are multiplied faster


def fused_nt_xent(
    queries: torch.Tensor,
    positives: torch.Tensor,
    temperature: float | torch.Tensor,
    eps: float,
    *,
    negatives: torch.Tensor | None = None,
    groups: torch.Tensor | None = None,
    label_smoothing: float = 0.0,
    world: World | None = None,
    blocking: Blocking | None = None,
) -> torch.Tensor:
    """What `ReferenceNTXentLoss` computes, a scalar, in blocks and with a gradient of its own.

    Both directions share one matrix of exponentials. The gradient is computed beside the loss, from its closed form, so
    it cannot be differentiated again. Under autocast the matrix products are in its type, and sums and exponentials in
    float32. Below a temperature of 1 / `LARGEST_FLOAT32_LOGIT` large logits would be rounded too much and exponentials
    would not fit: products are then in the type of `queries`, sums and exponentials in float64. Beyond
    `Blocking.kept_logits`, memory grows with b and not with its square.

    Args:
        queries: [b, dim], of any length.
        positives: [b, dim], the positive of each query.
        temperature: A number; or a tensor with one number, of at least 1 / `LARGEST_FLOAT32_LOGIT`, which gets a
            gradient too.
        eps: Shorter vectors are divided by `eps` instead of by their length.
        negatives: [m, dim], hard negatives of all pairs.
        groups: [b + m] integers, of pairs and negatives. Other members of a pair's group are masked. None: no mask.
        label_smoothing: Share of the target that is spread evenly over the unmasked logits of a row.
        world: The ranks that share the work, all of which give the same arguments and get the same loss and gradient.
            Each computes some rows of the matrix; 2b sums and the gradient are reduced.
        blocking: How the matrix is cut up (None: as suits the device).
    """
    if negatives is None:
        negatives = no_rows(queries)
    inputs = [queries, positives, negatives, *([temperature] if isinstance(temperature, torch.Tensor) else [])]
    gradient_wanted = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in inputs)
    groups = None if groups is None else groups.contiguous()
    settings = (groups, temperature, eps, label_smoothing, world or World(), blocking)
    return _FusedNTXent.apply(queries, positives, negatives, *settings, gradient_wanted)


def no_rows(queries: torch.Tensor) -> torch.Tensor:
    """Negatives where there are none, [0, dim]; without a gradient, which would be added to that of all queries."""
    return queries.detach()[:0]


class _FusedNTXent(torch.autograd.Function):
    """The loss with the closed form of its gradient.

    With unit rows Q and D, E = exp(Q D'/t), its row sums r, its column sums c, and
    W_ij = (E_ij (1/r_i + 1/c_j) - 2 [i = j]) / 2b, the gradient of Q is W D / t, that of D is W' Q / t.

    Negatives N add F = exp(Q N'/t) and G = exp(D N'/t): their row sums to r and to c, F_ij / (2b r_i) and
    G_ij / (2b c_i) to the gradients in the same way. Logits are products over t, so the gradient of t is minus the sum
    of each logit times its weight, over t; half the sum of the rows' products with their gradients is the same.

    With a smoothing s, K_i unmasked logits in row i and L_j in column j, 2 [i = j] becomes 2 (1 - s) [i = j] + s / K_i
    + s / L_j wherever a logit is not masked.
    """

    @staticmethod
    def forward(
        ctx: Any,
        queries: torch.Tensor,
        positives: torch.Tensor,
        negatives: torch.Tensor,
        groups: torch.Tensor | None,
        temperature: float | torch.Tensor,
        eps: float,
        label_smoothing: float,
        world: World,
        blocking: Blocking | None,
        gradient_wanted: bool,
    ) -> torch.Tensor:
        device = queries.device.type
        rounded = torch.is_autocast_enabled(device) and fits_float32(temperature)
        product_type = torch.get_autocast_dtype(device) if rounded else queries.dtype
        pairs, hard = len(queries), len(negatives)
        can_be_fused = fits_float32(temperature) and queries.dtype == torch.float32 and product_type in FUSED_TYPES
        kernels = fused(queries.device) if can_be_fused else None
        if blocking is None:
            blocking = Blocking.on(queries.device, None if kernels is None or hard else product_type.itemsize)
        with torch.autocast(device, enabled=False):
            loss, *kept = _loss_and_gradients(
                queries.detach(),
                positives.detach(),
                negatives.detach(),
                groups,
                temperature=temperature,
                eps=eps,
                label_smoothing=label_smoothing,
                world=world,
                blocking=blocking,
                product_type=product_type,
                kernels=kernels,
                gradient_wanted=gradient_wanted,
            )
        if gradient_wanted:
            ctx.save_for_backward(*kept)
            ctx.sizes = (pairs, pairs, hard)
        return loss

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad_output: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        row_grads, *learned = ctx.saved_tensors
        temperature_grad = learned[0] * grad_output if learned else None
        if grad_output.is_cuda or grad_output != 1:  # a GPU would be waited for
            row_grads = row_grads * grad_output
        return *row_grads.split(ctx.sizes), None, temperature_grad, *[None] * 5


def _loss_and_gradients(
    queries: torch.Tensor,
    positives: torch.Tensor,
    negatives: torch.Tensor,
    groups: torch.Tensor | None,
    *,
    temperature: float | torch.Tensor,
    eps: float,
    label_smoothing: float,
    world: World,
    blocking: Blocking,
    product_type: torch.dtype,
    kernels: Kernels | None,
    gradient_wanted: bool,
) -> tuple[torch.Tensor, ...]:
    """The loss; if wanted, its gradient for all rows, [2b + m, dim], and for a temperature that is a tensor."""
    pairs, dim = queries.shape
    prepared = None
    if kernels is not None and not isinstance(temperature, torch.Tensor) and not len(negatives):
        sides = (queries.contiguous(), positives.contiguous())
        units, lengths, *prepared = kernels.unit_pairs(*sides, eps, temperature * LN_2, product_type, WIDTH)
    else:
        units, lengths = _unit_rows([queries, positives, negatives], eps)
    logits = Logits(units, groups, temperature, product_type, pairs, blocking, prepared, masks=kernels is None)
    shard = _Shard(logits, world, label_smoothing, blocking, kernels, gradient_wanted)
    shard.sum_exponentials()
    gradients: list[torch.Tensor] = []
    if gradient_wanted:
        gradient = shard.unit_gradient(units)
        if kernels is not None and prepared is not None and isinstance(temperature, float | int):
            gradients = [kernels.row_gradients(gradient, units, lengths, dim, eps, temperature, 1 / LN_2)]
        else:
            gradients = _row_gradients(gradient, units, lengths, pairs, dim, eps, temperature)
    return shard.pair_losses().mean().to(queries.dtype), *gradients


def _row_gradients(
    gradient: torch.Tensor,
    units: torch.Tensor,
    lengths: torch.Tensor,
    pairs: int,
    dim: int,
    eps: float,
    temperature: float | torch.Tensor,
) -> list[torch.Tensor]:
    """The gradient of the rows, [rows, dim], from that of the unit rows, see `_Shard.unit_gradient`; and that of a
    temperature that is a tensor.
    """
    gradient = gradient.to(units.dtype)
    projection = (gradient * units).sum(dim=1)  # of the gradient of each row on the row
    learned = []
    if isinstance(temperature, torch.Tensor):
        weighted_logits = (projection[:pairs].sum() / temperature + projection[pairs:].sum() * LN_2) / 2
        learned = [(-weighted_logits / temperature).to(temperature.dtype).view_as(temperature)]
    projection.masked_fill_(lengths <= eps, 0)  # such a row was divided by a constant
    lengths[:pairs] *= temperature
    lengths[pairs:] /= LN_2
    # A step along a unit row changes nothing, since it is scaled to length 1 again.
    row_grads = torch.addcmul(gradient[:, :dim], units[:, :dim], projection.unsqueeze(1), value=-1)
    return [row_grads.div_(lengths.unsqueeze(1)), *learned]


class _Shard:
    """A rank's shard of the work on a batch: some rows of the matrix of logits, with all columns.

    Call `sum_exponentials` before `pair_losses` and `unit_gradient`. `sums`: of the exponentials of each row, then of
    each column, [2, b]. `logit_sums`, `logit_counts`: likewise the sums and numbers of unmasked logits, for smoothing.
    """

    def __init__(
        self,
        logits: "Logits",
        world: World,
        label_smoothing: float,
        blocking: Blocking,
        kernels: Kernels | None,
        gradient_wanted: bool,
    ) -> None:
        self._kernels = kernels
        self._logits = logits
        self._world = world
        self._smoothing = label_smoothing
        rows = world.shard(logits.pairs)
        length = max(1, blocking.block_logits // logits.pairs)
        starts = range(rows.start, rows.stop, length)
        self._blocks = [slice(start, min(start + length, rows.stop)) for start in starts]
        self._blocks_with_negatives = list(product(range(2), self._blocks)) if logits.has_negatives else []
        self._keeps = gradient_wanted and (rows.stop - rows.start) * logits.logits_per_row <= blocking.kept_logits
        # Exponentials, or with fused kernels logits, by the start of their block; of negatives by side and start.
        self._kept: dict[int | tuple[int, int], torch.Tensor] = {}
        self._statistics = logits.diagonal.new_zeros(3, 2, logits.pairs)
        self.sums, self.logit_sums, self.logit_counts = self._statistics

    def sum_exponentials(self) -> None:
        """Computes `sums` and the statistics of smoothing, and reduces them over all ranks."""
        for block in self._blocks:
            if self._kernels is not None:
                kept = self._logits.products(block)
                row_sums, column_sums = self._kernels.sum_exponentials(
                    kept, *self._logits.diagonal_and_groups, block.start, bool(self._smoothing)
                )
                statistics = self._statistics[: len(row_sums)]
                statistics[:, 0, block].add_(row_sums)
                statistics[:, 1].add_(column_sums)
            else:
                kept = self._logits.empty(block)
                for rows, logits in self._logits.fill(block, kept):
                    self._add_up(logits, 0, rows, with_columns=True)
            if self._keeps:
                self._kept[block.start] = kept
        for side, block in self._blocks_with_negatives:
            logits = self._logits.with_negatives(side, block)
            self._add_up(logits, side, block, with_columns=False)
            if self._keeps:
                self._kept[side, block.start] = logits
        self._world.all_reduce(self._statistics if self._smoothing else self.sums)
        if self._smoothing and self._kernels is not None:
            self.logit_counts += self._logits.unmasked(self._kernels)
        # What exponentials are multiplied by, and the smoothed part of their target, by row and by column, [2, b].
        self._softmax_factors = (2 * self._logits.pairs * self.sums).reciprocal()
        if self._smoothing:
            self._smoothed_targets = self._smoothing / (2 * self._logits.pairs * self.logit_counts)

    def _add_up(self, logits: torch.Tensor, side: int, rows: slice, with_columns: bool) -> None:
        """Adds the logits of some rows to the statistics of smoothing and their exponentials, in place, to the sums."""
        addends = []
        if self._smoothing:
            masked = logits.isneginf()
            addends += [(self.logit_sums, logits.masked_fill(masked, 0)), (self.logit_counts, masked.logical_not())]
        for sums, addend in [*addends, (self.sums, logits.exp2_())]:
            sums[side, rows] += addend.sum(dim=1)
            if with_columns:
                sums[1] += addend.sum(dim=0)

    def pair_losses(self) -> torch.Tensor:
        """The loss of each pair of the batch, [b]."""
        losses = self.sums.log2().mean(dim=0) - (1 - self._smoothing) * self._logits.diagonal
        if self._smoothing:
            losses -= self._smoothing * (self.logit_sums / self.logit_counts).mean(dim=0)
        return losses * LN_2

    def unit_gradient(self, units: torch.Tensor) -> torch.Tensor:
        """The gradient of the unit rows, reduced over all ranks, [2b + m, width]: times t for queries, over ln 2 for
        positives and negatives.

        A positive's gradient is a sum over rows. Where blocks or ranks add up parts of it, the parts are in float32 and
        the sum is rounded as one product over all rows would be, so that the result does not depend on the number of
        parts. With negatives nothing is rounded, since their own gradients are such sums too. Fused kernels get what is
        one product in its type.
        """
        logits = self._logits
        in_parts = self._world.size > 1 or len(self._blocks) > 1
        is_whole = not (in_parts or logits.has_negatives)
        gradient = torch.empty_like(units, dtype=logits.product_type if is_whole and self._kernels else units.dtype)
        if in_parts or logits.has_negatives:
            gradient.zero_()
        query_grads, positive_grads, negative_grads = gradient.tensor_split([logits.pairs, 2 * logits.pairs])
        for block in self._blocks:
            weights = self._weights(block)
            _put_product(query_grads[block], weights, logits.positives, add=False)
            _put_product(positive_grads, weights.T, logits.queries[block], add=in_parts, rounded=is_whole)
        for side, block in self._blocks_with_negatives:
            weights = self._weights_of_negatives(side, block)
            side_grads = (query_grads, positive_grads)[side]
            _put_product(side_grads[block], weights, logits.negatives[side], add=True)
            _put_product(negative_grads, weights.T, logits.sides[side][block], add=True, rounded=False)
        self._world.all_reduce(gradient)
        if in_parts and not logits.has_negatives and logits.product_type != units.dtype:
            positive_grads.copy_(positive_grads.to(logits.product_type))
        return gradient

    def _weights(self, block: slice) -> torch.Tensor:
        """W of some rows, [rows, b], in the type of the products."""
        logits = self._logits
        kept = self._kept.pop(block.start, None)
        if self._kernels is not None:
            weights = logits.products(block) if kept is None else kept
            targets = self._smoothed_targets if self._smoothing else None
            own = (1 - self._smoothing) / logits.pairs
            self._kernels.put_weights(
                weights, *logits.diagonal_and_groups, block.start, self._softmax_factors, own, targets
            )
            return weights
        exponentials = kept
        if exponentials is None:
            exponentials = logits.empty(block)
            for _, part in logits.fill(block, exponentials):
                part.exp2_()
        factors = self._softmax_factors
        weights = torch.empty_like(exponentials, dtype=logits.product_type) if logits.rounds else exponentials
        for piece, rows in logits.pieces(block):
            part = exponentials[piece]
            smoothed = None
            if self._smoothing:
                smoothed = (part > 0) * (self._smoothed_targets[0, rows, None] + self._smoothed_targets[1])
            part.mul_(factors[0, rows, None] + factors[1])
            if smoothed is not None:
                part.sub_(smoothed)
            part.diagonal(rows.start).sub_((1 - self._smoothing) / logits.pairs)
            if logits.rounds:
                weights[piece].copy_(part)
        return weights

    def _weights_of_negatives(self, side: int, block: slice) -> torch.Tensor:
        """The weights of negatives for some queries (side 0) or positives (side 1), [rows, m], in the same type."""
        exponentials = self._kept.pop((side, block.start), None)
        if exponentials is None:
            exponentials = self._logits.with_negatives(side, block).exp2_()
        smoothed = (exponentials > 0) * self._smoothed_targets[side, block, None] if self._smoothing else 0
        weights = exponentials.mul_(self._softmax_factors[side, block, None]).sub_(smoothed)
        return weights.to(self._logits.product_type)


def _put_product(
    target: torch.Tensor, first: torch.Tensor, second: torch.Tensor, add: bool, rounded: bool = True
) -> None:
    """Writes a matrix product into `target`, or adds it; the factors may be of a type with fewer digits.

    `rounded`: the product may be in their type before it is written; else sums have the digits of `target`.
    """
    if first.dtype == target.dtype:
        target.addmm_(first, second, beta=float(add))
        return
    if rounded:
        product = first @ second
    elif first.is_cuda:
        product = torch.mm(first, second, out_dtype=target.dtype)
    else:
        product = first.to(target.dtype) @ second.to(target.dtype)
    if add:
        target.add_(product)
    else:
        target.copy_(product)


def _unit_rows(sides: list[torch.Tensor], eps: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Unit rows of all sides, with columns of zeros up to a multiple of `WIDTH`, [2b + m, width], and their lengths."""
    dim = sides[0].shape[1]
    count = sum(map(len, sides))
    lengths = sides[0].new_empty(count)
    units = sides[0].new_empty(count, -(-dim // WIDTH) * WIDTH)
    units[:, dim:] = 0
    start = 0
    for side in filter(len, sides):
        rows = slice(start, start + len(side))
        torch.linalg.vector_norm(side, dim=1, out=lengths[rows]).clamp_min_(eps)
        torch.div(side, lengths[rows].unsqueeze(1), out=units[rows, :dim])
        start = rows.stop
    return units, lengths
