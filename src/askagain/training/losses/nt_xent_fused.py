"""NT-Xent: every question should be most alike to its own duplicate among all the duplicates of the batch."""

import math
from collections.abc import Iterator
from functools import cached_property
from typing import Any

import torch

from askagain.distributed.collectives import World

BLOCK_LOGITS = 2**22  # logits computed at a time: 16 MiB in float32
CACHED_LOGITS = 2**20  # logits worked on at a time on a processor, 4 MiB: they stay in its cache between operations
KEPT_LOGITS = 2**26  # up to so many exponentials are kept for the gradient, 256 MiB in float32; more are computed twice
LARGEST_FLOAT32_LOGIT = 40.0  # sums of exponentials of this and of minus this are far inside of float32
LN_2 = math.log(2)  # exponentials are powers of 2, which PyTorch computes three times as fast on some processors
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
    `gather` off each pair is compared with those of its own rank's share and the further negatives only, and a rank
    multiplies less.

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
    """The mean over all pairs of the loss that each has among those of its rank's share, and all further negatives."""
    own = world.shard(pairs)
    whole = world.all_reduce_grad(vectors)
    sides = whole[: 2 * pairs].unflatten(0, (2, pairs))[:, own]  # [2, pairs, dim]
    count = sides.shape[1]
    if isinstance(temperature, torch.Tensor):
        temperature = world.all_reduce_grad(temperature)
    if count:
        share = torch.cat([sides.flatten(0, 1), whole[2 * pairs :]])
        of_group = None if groups is None else torch.cat([groups[:pairs][own], groups[pairs:]])
        of_share = nt_xent(share, of_group, temperature, eps, pairs=count, label_smoothing=label_smoothing)
    else:  # fewer pairs than ranks
        of_share = sides.sum()
        if isinstance(temperature, torch.Tensor):
            of_share = of_share + 0 * temperature.sum()  # its gradient crosses on every rank
    part = of_share * (count / pairs)
    return part + (world.all_reduce(part.detach().clone()) - part.detach())


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
            share = _Share(batch, world, label_smoothing, gradient_wanted)
            share.sum_up()
            if gradient_wanted:
                gradient = share.gradient(units)
                along = (gradient * units).sum(dim=1)
                of_temperature = None
                if isinstance(temperature, torch.Tensor):
                    logits_times_weights = (along[:pairs].sum() / temperature + along[pairs:].sum() * LN_2) / 2
                    of_temperature = (-logits_times_weights / temperature).to(temperature.dtype).view_as(temperature)
                along.masked_fill_(lengths <= eps, 0)  # such a row was divided by a constant
                lengths[:pairs] *= temperature
                lengths[pairs:] /= LN_2
                ctx.save_for_backward(gradient, units, along, lengths, of_temperature)
                ctx.dim = vectors.shape[1]
            return share.losses().mean().to(vectors.dtype)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, of_loss: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        gradient, units, along, divisors, of_temperature = ctx.saved_tensors
        # What lies along a unit row changes nothing: it stays a unit row.
        of_vectors = torch.addcmul(gradient[:, : ctx.dim], units[:, : ctx.dim], along.unsqueeze(1), value=-1)
        of_vectors.mul_((of_loss / divisors).unsqueeze(1))
        return of_vectors, None, None if of_temperature is None else of_temperature * of_loss, *[None] * 5


class _Share:
    """A rank's share of the work on a batch: some rows of the matrix of logits, with all columns.

    `sum_up` before `losses` and `gradient`. `sums`: of the exponentials of each row, then of each column, [2, b].
    `totals`, `counts`: likewise the sums and the numbers of logits that are not masked, which labels are smoothed with.
    """

    def __init__(self, batch: "_Logits", world: World, label_smoothing: float, gradient_wanted: bool) -> None:
        self._batch = batch
        self._world = world
        self._smoothing = label_smoothing
        own = world.shard(batch.size)
        self._blocks = list(batch.blocks(own))
        self._keeps = gradient_wanted and (own.stop - own.start) * batch.logits_a_row <= KEPT_LOGITS
        # Exponentials, by the start of their block; those of negatives by side and start.
        self._kept: dict[int | tuple[int, int], torch.Tensor] = {}
        self._of_logits = batch.diagonal.new_zeros(3, 2, batch.size)
        self.sums, self.totals, self.counts = self._of_logits

    def sum_up(self) -> None:
        """Computes `sums` and what labels are smoothed with, over the shares of all ranks."""
        batch = self._batch
        for block in self._blocks:
            exponentials = batch.room(block)
            for rows, logits in batch.logits(block, exponentials):
                if self._smoothing:
                    for found, values in zip((self.totals, self.counts), _present(logits), strict=True):
                        found[0, rows] += values.sum(dim=1)
                        found[1] += values.sum(dim=0)
                some = logits.exp2_()
                self.sums[0, rows] = some.sum(dim=1)
                self.sums[1] += some.sum(dim=0)
            if self._keeps:
                self._kept[block.start] = exponentials
        for side, block in self._blocks_of_negatives():
            exponentials = batch.of_negatives(side, block)
            if self._smoothing:
                for found, values in zip((self.totals, self.counts), _present(exponentials), strict=True):
                    found[side, block] += values.sum(dim=1)
            self.sums[side, block] += exponentials.exp2_().sum(dim=1)
            if self._keeps:
                self._kept[side, block.start] = exponentials
        self._world.all_reduce(self._of_logits if self._smoothing else self.sums)

    def losses(self) -> torch.Tensor:
        """Of each pair, [b]."""
        losses = self.sums.log2().mean(dim=0) - (1 - self._smoothing) * self._batch.diagonal
        if self._smoothing:
            losses -= self._smoothing * (self.totals / self.counts).mean(dim=0)
        return losses * LN_2

    def gradient(self, units: torch.Tensor) -> torch.Tensor:
        """Of the unit rows, that of the queries times t and that of others over ln 2, over the shares of all ranks:
        [2b + m, width].

        A positive's gradient is a sum over rows. Where blocks or ranks give parts of it, these are in float32 and the
        sum is rounded as a product of all rows is: so it does not show how many parts there are. With further negatives
        nothing is rounded; their own gradients are such sums, too.
        """
        batch = self._batch
        gradient = torch.empty_like(units)
        in_parts = self._world.size > 1 or len(self._blocks) > 1
        if in_parts or batch.has_negatives:
            gradient.zero_()
        of_queries, of_positives, of_negatives = gradient.tensor_split([batch.size, 2 * batch.size])
        part_type = units.dtype if in_parts or batch.has_negatives else batch.product_type
        for block in self._blocks:
            weights = self._weights(block)
            _put_product(of_queries[block], weights, batch.positives, add=False)
            _put_product(of_positives, weights.T.to(part_type), batch.queries[block].to(part_type), add=in_parts)
        for side, block in self._blocks_of_negatives():
            weights = self._weights_of_negatives(side, block)
            _put_product((of_queries, of_positives)[side][block], weights, batch.negatives[side], add=True)
            _put_product(of_negatives, weights.T.to(part_type), batch.sides[side][block].to(part_type), add=True)
        self._world.all_reduce(gradient)
        if in_parts and not batch.has_negatives and batch.product_type != units.dtype:
            of_positives.copy_(of_positives.to(batch.product_type))
        return gradient

    def _weights(self, block: slice) -> torch.Tensor:
        """W of some rows, [rows, b], in the type of the products."""
        batch = self._batch
        exponentials = self._kept.pop(block.start, None)
        if exponentials is None:
            exponentials = batch.room(block)
            for _, logits in batch.logits(block, exponentials):
                logits.exp2_()
        shares, spread = self._shares, self._spread
        weights = exponentials.new_empty(exponentials.shape, dtype=batch.product_type) if batch.rounds else exponentials
        for part in _parts(exponentials):
            rows = _shifted(part, block)
            some = exponentials[part]
            wanted = (some > 0) * (spread[0, rows, None] + spread[1]) if self._smoothing else None
            some.mul_(shares[0, rows, None] + shares[1])
            if wanted is not None:
                some.sub_(wanted)
            some.diagonal(rows.start).sub_((1 - self._smoothing) / batch.size)
            if batch.rounds:
                weights[part].copy_(some)
        return weights

    def _weights_of_negatives(self, side: int, block: slice) -> torch.Tensor:
        """Those of further negatives for some queries (side 0) or positives (1), [rows, m], likewise."""
        exponentials = self._kept.pop((side, block.start), None)
        if exponentials is None:
            exponentials = self._batch.of_negatives(side, block).exp2_()
        wanted = (exponentials > 0) * self._spread[side, block, None] if self._smoothing else 0
        return exponentials.mul_(self._shares[side, block, None]).sub_(wanted).to(self._batch.product_type)

    @cached_property
    def _shares(self) -> torch.Tensor:
        """What the exponentials of a row, and of a column, are multiplied by, [2, b]."""
        return (2 * self._batch.size * self.sums).reciprocal()

    @cached_property
    def _spread(self) -> torch.Tensor:
        """What is wanted of each logit of a row, and of a column, where labels are smoothed, [2, b]."""
        return self._smoothing / (2 * self._batch.size * self.counts)

    def _blocks_of_negatives(self) -> Iterator[tuple[int, slice]]:
        """Sides and blocks; none where there are no further negatives."""
        return ((side, block) for side in range(2) for block in self._blocks if self._batch.has_negatives)


class _Logits:
    """All logits of a batch of b = `size` pairs over ln 2, masked ones minus infinity, a block of rows at a time.

    They are products over t ln 2. `units`: [2b + m, width], unit rows. Those of the queries over t ln 2, `queries`, and
    `positives`, both [b, width], are in the type of the products. Where there are further negatives, `sides` are
    queries and positives, both over t ln 2, and `negatives` these [m, width] as they are and over t ln 2.
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
        self.product_type = product_type
        queries, positives, negatives = units.tensor_split([pairs, 2 * pairs])
        divisor = temperature * LN_2
        queries = queries / divisor
        self._sum_type = torch.promote_types(units.dtype, torch.float32 if _fits(temperature) else torch.float64)
        # A pair's own logit counts most, so it is not rounded to the type of the products.
        self.diagonal = (queries * positives).sum(dim=1).to(self._sum_type)
        self.queries = queries.to(product_type)
        self.positives = positives.to(product_type)
        self.rounds = self._sum_type != product_type
        self.logits_a_row = pairs + 2 * len(negatives)
        self.has_negatives = len(negatives) > 0
        if self.has_negatives:
            self.sides = (self.queries, (positives / divisor).to(product_type))
            self.negatives = tuple(factor.to(product_type) for factor in (negatives, negatives / divisor))
        self._groups = None if groups is None else groups[:pairs]
        self._groups_of_negatives = None if groups is None else groups[pairs:]
        # On a GPU the rows are not sought, since finding them would have to wait for it.
        self._shared = None if groups is None or _waits(groups) else _rows_of_shared_groups(groups[:pairs])

    def blocks(self, rows: slice) -> Iterator[slice]:
        """Slices of some rows, one after the other."""
        length = max(1, BLOCK_LOGITS // self.size)
        return (slice(start, min(start + length, rows.stop)) for start in range(rows.start, rows.stop, length))

    def room(self, block: slice) -> torch.Tensor:
        """Room for the logits of some rows, [rows, b]."""
        return self.diagonal.new_empty(block.stop - block.start, self.size)

    def logits(self, block: slice, room: torch.Tensor) -> Iterator[tuple[slice, torch.Tensor]]:
        """Puts the logits of some rows into `room`; yields rows and their logits while these are in the cache."""
        product = torch.mm(self.queries[block], self.positives.T, out=None if self.rounds else room)
        self._mask(product, block)
        for part in _parts(room):
            rows = _shifted(part, block)
            logits = room[part]
            if self.rounds:
                logits.copy_(product[part])
            logits.diagonal(rows.start).copy_(self.diagonal[rows])
            yield rows, logits

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
    count = len(matrix)
    length = max(1, CACHED_LOGITS // matrix.shape[1]) if matrix.device.type == "cpu" else max(1, count)
    return (slice(start, min(start + length, count)) for start in range(0, count, length))


def _shifted(part: slice, block: slice) -> slice:
    """Rows of the matrix, given their places in a block."""
    return slice(block.start + part.start, block.start + part.stop)


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
    """The rows whose group has another pair in the batch, in no order and perhaps more than once."""
    ordered, rows = groups.sort()
    again = torch.nonzero(ordered[1:] == ordered[:-1]).squeeze(1)
    return rows[torch.cat([again, again + 1])]


def _units(vectors: torch.Tensor, eps: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Unit rows, filled up with zeros to a width that is a multiple of `WIDTH`, and the [2b] lengths they had."""
    dim = vectors.shape[1]
    lengths = torch.linalg.vector_norm(vectors, dim=1).clamp_min_(eps)
    units = vectors.new_empty(len(vectors), -(-dim // WIDTH) * WIDTH)
    torch.div(vectors, lengths.unsqueeze(1), out=units[:, :dim])
    units[:, dim:] = 0
    return units, lengths
