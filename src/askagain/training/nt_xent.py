"""NT-Xent: every question should be most alike to its own duplicate among all the duplicates of the batch."""

import math
from collections.abc import Iterator
from typing import Any

import torch

from askagain.training.world import World

BLOCK_LOGITS = 2**22  # logits computed at a time: 16 MiB in float32
CACHED_LOGITS = 2**18  # logits worked on at a time on a processor, 1 MiB: they stay in its cache between operations
KEPT_LOGITS = 2**26  # up to so many exponentials are kept for the gradient, 256 MiB in float32; more are computed twice
LARGEST_FLOAT32_LOGIT = 40.0  # sums of exponentials of this and of minus this are far inside of float32
WIDTH = 16  # float32 numbers in a vector register: matrices of such widths are multiplied faster
SMALLEST_TEMPERATURE = 0.0015  # the exponential of one over it is still inside of float64


def nt_xent(
    vectors: torch.Tensor,
    groups: torch.Tensor | None,
    temperature: float | torch.Tensor,
    eps: float,
    world: World | None = None,
    gather: bool = True,
    pairs: int | None = None,
    label_smoothing: float = 0.0,
) -> torch.Tensor:
    """The symmetric NT-Xent loss of a batch of b pairs, a scalar.

    With unit rows Q, D, N and temperature t it is the mean over i of
    -1/2 log softmax_row([Q D', Q N'] / t)_ii - 1/2 log softmax_row([D Q', D N'] / t)_ii.

    `vectors`: [2b + m, dim], the queries, their positives, then m further negatives; of any length: rows shorter than
    `eps` are divided by `eps` instead of their length, so that zero rows stay zero and their gradients finite. `pairs`:
    b (None: half of the rows, and there are no further negatives). `groups`: [b + m] integers; the other members of a
    pair's own group, negatives among them, are left out of its softmax rows instead of being pushed away (None: nothing
    is masked). `temperature`: `SMALLEST_TEMPERATURE` or more; where it is a tensor (one number), it has a gradient too,
    and must be 1 / `LARGEST_FLOAT32_LOGIT` or more. `label_smoothing`: below 1; what is wanted of a softmax row is that
    share spread evenly over all of the row that is not masked, and the rest on the pair itself.

    Both directions share one matrix of exponentials. The gradient is computed beside the loss, from its closed form,
    so it cannot be differentiated again. Under autocast the matrix products are in its type, and sums and exponentials
    in float32. Where the temperature is below 1 / `LARGEST_FLOAT32_LOGIT`, large logits would be rounded too much and
    exponentials would not fit: products are then in the type of `vectors`, sums and exponentials in float64. From
    `KEPT_LOGITS` on, memory grows with b and not with its square.

    `world`: the processes that share the work, all of which give the same arguments and get the same loss and gradient
    (None: this one alone). Each computes a part of the rows of the matrix; 2b sums and the gradient cross. With
    `gather` off each pair is compared with those of its own rank's share only, and a rank multiplies less.

    Source: Chen et al., "A Simple Framework for Contrastive Learning of Visual Representations", ICML 2020, with the
    two directions of Radford et al., "Learning Transferable Visual Models From Natural Language Supervision", 2021.
    """
    world = world or World()
    pairs = len(vectors) // 2 if pairs is None else pairs
    if world.size > 1 and not gather:
        return _of_shares(vectors, groups, temperature, eps, world, pairs, label_smoothing)
    gradient_wanted = torch.is_grad_enabled() and vectors.requires_grad
    return _NTXent.apply(vectors, groups, temperature, eps, world, pairs, label_smoothing, gradient_wanted)


def _of_shares(
    vectors: torch.Tensor,
    groups: torch.Tensor | None,
    temperature: float | torch.Tensor,
    eps: float,
    world: World,
    pairs: int,
    label_smoothing: float,
) -> torch.Tensor:
    """The mean over all pairs of the loss that each has among those of its rank's share."""
    own, further = world.share(pairs), world.share(len(vectors) - 2 * pairs)
    whole = world.with_whole_gradient(vectors)
    sides = whole[: 2 * pairs].unflatten(0, (2, pairs))[:, own]  # [2, pairs, dim]
    count = sides.shape[1]
    if isinstance(temperature, torch.Tensor):
        temperature = world.with_whole_gradient(temperature)
    if count:
        share = torch.cat([sides.flatten(0, 1), whole[2 * pairs :][further]])
        of_group = None if groups is None else torch.cat([groups[:pairs][own], groups[pairs:][further]])
        of_share = nt_xent(share, of_group, temperature, eps, pairs=count, label_smoothing=label_smoothing)
    else:  # fewer pairs than ranks
        of_share = sides.sum()
        if isinstance(temperature, torch.Tensor):
            of_share = of_share + 0 * temperature.sum()  # its gradient crosses on every rank
    part = of_share * (count / pairs)
    return part + (world.add_up(part.detach().clone()) - part.detach())


class _NTXent(torch.autograd.Function):
    """The loss, with its gradient from the closed form: with E = exp(Q D'/t), its row sums r, its column sums c, and
    W_ij = (E_ij (1/r_i + 1/c_j) - 2 [i = j]) / 2b, the gradient of Q is W D / t, that of D is W' Q / t.

    Further negatives add F = exp(Q N'/t) and G = exp(D N'/t): their row sums to r and to c, F_ij / (2b r_i) and
    G_ij / (2b c_i) to the gradients in the same way. Logits are products over t, so the gradient of t is minus the sum
    of each logit times its weight, over t; half the sum of the rows' products with their gradients is the same.

    With a smoothing s, K_i unmasked logits in row i and L_j in column j, 2 [i = j] becomes 2 (1 - s) [i = j] + s / K_i
    + s / L_j wherever a logit is not masked.
    """

    @staticmethod
    def forward(
        ctx: Any,
        vectors: torch.Tensor,
        groups: torch.Tensor | None,
        temperature: float | torch.Tensor,
        eps: float,
        world: World,
        pairs: int,
        label_smoothing: float,
        gradient_wanted: bool,
    ) -> torch.Tensor:
        device = vectors.device.type
        rounded = torch.is_autocast_enabled(device) and _fits(temperature)
        product_type = torch.get_autocast_dtype(device) if rounded else vectors.dtype
        with torch.autocast(device, enabled=False):
            units, lengths = _units(vectors.detach(), eps)
            batch = _Logits(units, groups, temperature, product_type, pairs)
            own = world.share(pairs)
            kept = {}
            # Of each row, then of each column: exponentials summed; logits summed and counted, to smooth with.
            sums, totals, counts = of_logits = batch.diagonal.new_zeros(3, 2, pairs)
            rows, columns = sums  # [b] each
            keep = gradient_wanted and (own.stop - own.start) * (2 * len(vectors) - 3 * pairs) <= KEPT_LOGITS
            for block in batch.blocks(own):
                exponentials = batch.logits(block)
                if label_smoothing:
                    for found, values in zip((totals, counts), _present(exponentials), strict=True):
                        found[0, block] += values.sum(dim=1)
                        found[1] += values.sum(dim=0)
                for part in _parts(exponentials):
                    some = exponentials[part].exp_()
                    rows[block][part] = some.sum(dim=1)
                    columns += some.sum(dim=0)
                if keep:
                    kept[block.start] = exponentials
            for side, of_side in enumerate(sums if batch.has_negatives else ()):
                for block in batch.blocks(own):
                    exponentials = batch.of_negatives(side, block)
                    if label_smoothing:
                        for found, values in zip((totals, counts), _present(exponentials), strict=True):
                            found[side, block] += values.sum(dim=1)
                    exponentials.exp_()
                    of_side[block] += exponentials.sum(dim=1)
                    if keep:
                        kept[side, block.start] = exponentials
            world.add_up(of_logits if label_smoothing else sums)
            losses = (rows.log() + columns.log()) / 2 - (1 - label_smoothing) * batch.diagonal
            if label_smoothing:
                losses -= label_smoothing * (totals / counts).mean(dim=0)
            loss = losses.mean().to(vectors.dtype)
            if gradient_wanted:
                gradient = torch.empty_like(units)  # of the unit rows; that of Q times t
                if world.size > 1 or batch.has_negatives:
                    gradient.zero_()  # other ranks give their parts
                of_queries, of_positives, of_negatives = gradient.tensor_split([pairs, 2 * pairs])
                shares = (2 * pairs * sums).reciprocal()  # of a side's exponentials
                spread = label_smoothing / (
                    2 * pairs * counts
                )  # over a side's logits; nan and not used where nothing is smoothed
                for block in batch.blocks(own):
                    weights = kept.pop(block.start) if kept else batch.logits(block).exp_()  # [block, b]
                    for part in _parts(weights):
                        some = weights[part]
                        wanted = (some > 0) * (spread[0, block][part, None] + spread[1]) if label_smoothing else None
                        some.mul_(shares[0, block][part, None] + shares[1])
                        if wanted is not None:
                            some.sub_(wanted)
                    weights.diagonal(block.start).sub_((1 - label_smoothing) / pairs)
                    weights = weights.to(product_type)
                    _put_product(of_queries[block], weights, batch.positives, add=False)
                    _put_product(of_positives, weights.T, batch.queries[block], add=block.start > own.start)
                for side, target in enumerate((of_queries, of_positives) if batch.has_negatives else ()):
                    for block in batch.blocks(own):
                        weights = kept.pop((side, block.start)) if kept else batch.of_negatives(side, block).exp_()
                        wanted = (weights > 0) * spread[side, block, None] if label_smoothing else 0
                        weights = weights.mul_(shares[side, block, None]).sub_(wanted).to(product_type)
                        _put_product(target[block], weights, batch.negatives[side], add=True)
                        _put_product(of_negatives, weights.T, batch.sides[side][block], add=True)
                world.add_up(gradient)
                along = torch.einsum("ij,ij->i", gradient, units)
                of_temperature = None
                if isinstance(temperature, torch.Tensor):
                    logits_times_weights = (along[:pairs].sum() / temperature + along[pairs:].sum()) / 2
                    of_temperature = (-logits_times_weights / temperature).to(temperature.dtype).view_as(temperature)
                of_vectors = _through_units(gradient, units, along, lengths, temperature, eps, pairs)
                ctx.save_for_backward(of_vectors[:, : vectors.shape[1]], of_temperature)
            return loss

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, of_loss: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        of_vectors, of_temperature = ctx.saved_tensors
        of_temperature = None if of_temperature is None else of_temperature * of_loss
        return (of_vectors * of_loss).contiguous(), None, of_temperature, *[None] * 5


class _Logits:
    """All logits of a batch, masked ones minus infinity, a block of rows at a time.

    `units`: [2b + m, width], unit rows. Those of the queries over the temperature, `queries`, and `positives`, both
    [b, width], are in the type of the products. Where there are further negatives, `sides` are queries and positives,
    both over the temperature, and `negatives` these [m, width] as they are and over the temperature.
    """

    def __init__(
        self,
        units: torch.Tensor,
        groups: torch.Tensor | None,
        temperature: float | torch.Tensor,
        product_type: torch.dtype,
        pairs: int,
    ) -> None:
        self.size = pairs
        queries, positives, negatives = units.tensor_split([pairs, 2 * pairs])
        queries = queries / temperature
        self._sum_type = torch.promote_types(units.dtype, torch.float32 if _fits(temperature) else torch.float64)
        # A pair's own logit counts most, so it is not rounded to the type of the products.
        self.diagonal = torch.einsum("ij,ij->i", queries, positives).to(self._sum_type)
        self.queries = queries.to(product_type)
        self.positives = positives.to(product_type)
        self.has_negatives = len(negatives) > 0
        if self.has_negatives:
            self.sides = (self.queries, (positives / temperature).to(product_type))
            self.negatives = tuple(factor.to(product_type) for factor in (negatives, negatives / temperature))
        self._groups = None if groups is None else groups[:pairs]
        self._groups_of_negatives = None if groups is None else groups[pairs:]
        # On a GPU the rows are not sought, since finding them would have to wait for it.
        self._shared = None if groups is None or _waits(groups) else _rows_of_shared_groups(groups[:pairs])

    def blocks(self, rows: slice) -> Iterator[slice]:
        """Slices of some rows, one after the other."""
        length = max(1, BLOCK_LOGITS // self.size)
        return (slice(start, min(start + length, rows.stop)) for start in range(rows.start, rows.stop, length))

    def logits(self, block: slice) -> torch.Tensor:
        """The logits of some rows, [rows, b]."""
        logits = (self.queries[block] @ self.positives.T).to(self._sum_type)
        self._mask(logits, block)
        logits.diagonal(block.start).copy_(self.diagonal[block])
        return logits

    def of_negatives(self, side: int, block: slice) -> torch.Tensor:
        """The logits of some queries (side 0) or positives (1) with the further negatives, [rows, m]."""
        logits = (self.sides[side][block] @ self.negatives[0].T).to(self._sum_type)
        if self._groups is not None and self._groups_of_negatives is not None:
            logits.masked_fill_(self._groups[block, None] == self._groups_of_negatives, -math.inf)
        return logits

    def _mask(self, logits: torch.Tensor, block: slice) -> None:
        """Takes out the pairs of a pair's own group, itself among them."""
        if self._groups is None:
            return
        if self._shared is None:
            logits.masked_fill_(self._groups[block, None] == self._groups, -math.inf)
            return
        rows = self._shared[(self._shared >= block.start) & (self._shared < block.stop)]
        places = rows - block.start
        logits[places] = logits[places].masked_fill_(self._groups[rows, None] == self._groups, -math.inf)


def _fits(temperature: float | torch.Tensor) -> bool:
    """Whether exponentials of logits at this temperature fit into float32; a tensor is not asked for its value."""
    return isinstance(temperature, torch.Tensor) or 1 / temperature <= LARGEST_FLOAT32_LOGIT


def _present(logits: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The logits that are not masked, 0 in the place of others; and 1 where one is not masked, else 0."""
    masked = logits.isneginf()
    return logits.masked_fill(masked, 0), masked.logical_not().to(logits.dtype)


def _parts(matrix: torch.Tensor) -> Iterator[slice]:
    """Slices of rows that fit into a processor's cache; on other devices all rows at once."""
    rows = max(1, CACHED_LOGITS // matrix.shape[1]) if matrix.device.type == "cpu" else len(matrix)
    return (slice(start, start + rows) for start in range(0, len(matrix), rows))


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
    gradient: torch.Tensor,
    units: torch.Tensor,
    along: torch.Tensor,
    lengths: torch.Tensor,
    temperature: float | torch.Tensor,
    eps: float,
    pairs: int,
) -> torch.Tensor:
    """The gradient of rows, given that of their unit rows and its part `along` them, which changes nothing."""
    along = along.unsqueeze(1).masked_fill(lengths <= eps, 0)  # such a row was divided by a constant
    divisors = lengths.clone()
    divisors[:pairs] *= temperature
    return gradient.addcmul_(units, along, value=-1).div_(divisors)
