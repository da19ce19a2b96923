"""The logits of a batch of pairs for NT-Xent: a matrix that is computed a block of rows at a time."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch

from askagain.training.kernels.choice import Kernels

LARGEST_FLOAT32_LOGIT = 40.0  # sums of exponentials of this and of minus this are far inside float32
LN_2 = math.log(2)  # exponentials are powers of 2, which PyTorch computes three times as fast on some processors


@dataclass(frozen=True)
class Blocking:
    """How the matrix of logits is cut up. It changes speed and memory, never the result.

    Attributes:
        block_logits: Logits computed at a time; 2^22 are 16 MiB in float32.
        cached_logits: Logits worked on at a time on a processor; 4 MiB stay in its cache between operations.
        kept_logits: Up to so many logits or exponentials are kept for the gradient, 256 MiB; more are computed twice.
        mask_by_rows: Mask only the rows whose group has another pair in the batch. None: wherever finding them does not
            have to wait for a GPU.
    """

    block_logits: int = 2**22
    cached_logits: int = 2**20
    kept_logits: int = 2**26
    mask_by_rows: bool | None = None

    @classmethod
    def on(cls, device: torch.device, number_bytes: int | None) -> "Blocking":
        """What suits a device: a GPU, whose kernels take time to start, gets 256 MiB at a time and keeps 2 GiB.

        `number_bytes`: of a logit where fused kernels need no memory beside the logits. Blocks are as large then as
        what is kept, or on a GPU half as large, since products of few blocks are faster.
        """
        is_gpu = device.type == "cuda"
        if number_bytes is None:
            return cls(block_logits=2**26, kept_logits=2**29) if is_gpu else cls()
        kept = (2**31 if is_gpu else 2**28) // number_bytes
        return cls(block_logits=kept // 2 if is_gpu else kept, kept_logits=kept)


class Logits:
    """All logits of a batch of b = `pairs` pairs, over ln 2 and masked ones minus infinity, a block of rows at a time.

    `units`: [2b + m, width], unit rows. `prepared`: `queries`, `positives` and `diagonal`, if fused kernels have made
    them. `masks`: whether masked ones are asked for, which `products` leaves as they are. `queries`, over t ln 2, and
    `positives`, both [b, width], are in the type of the products. With negatives, `sides` are queries and positives,
    both over t ln 2, and `negatives` are these, [m, width], as they are and over t ln 2.
    """

    def __init__(
        self,
        units: torch.Tensor,
        groups: torch.Tensor | None,
        temperature: float | torch.Tensor,
        product_type: torch.dtype,
        pairs: int,
        blocking: Blocking,
        prepared: list[torch.Tensor] | None,
        masks: bool,
    ) -> None:
        self.pairs = pairs
        self.product_type = product_type
        self._blocking = blocking
        queries, positives, negatives = units.tensor_split([pairs, 2 * pairs])
        divisor = temperature * LN_2
        self._sum_type = torch.promote_types(units.dtype, torch.float32 if fits_float32(temperature) else torch.float64)
        if prepared is not None:
            self.queries, self.positives, self.diagonal = prepared
        else:
            queries = queries / divisor
            # A pair's own logit counts most, so it is not rounded to the type of the products.
            self.diagonal = (queries * positives).sum(dim=1).to(self._sum_type)
            self.queries = queries.to(product_type)
            self.positives = positives.to(product_type)
        self.rounds = self._sum_type != product_type
        self.logits_per_row = pairs + 2 * len(negatives)
        self.has_negatives = len(negatives) > 0
        if self.has_negatives:
            self.sides = (self.queries, (positives / divisor).to(product_type))
            self.negatives = tuple(factor.to(product_type) for factor in (negatives, negatives / divisor))
        self._groups = None if groups is None else groups[:pairs]
        self._negative_groups = None if groups is None else groups[pairs:]
        self._rows_to_mask = None
        by_rows = not units.is_cuda if blocking.mask_by_rows is None else blocking.mask_by_rows
        if masks and by_rows and self._groups is not None:
            self._rows_to_mask = _rows_of_shared_groups(self._groups)

    def pieces(self, block: slice) -> Iterator[tuple[slice, slice]]:
        """Cuts a block into pieces that fit into a processor's cache: their rows in the block and in the matrix."""
        length = block.stop - block.start  # not cut on a GPU
        if self.diagonal.device.type == "cpu":
            length = max(1, self._blocking.cached_logits // self.pairs)
        for start in range(block.start, block.stop, length):
            stop = min(start + length, block.stop)
            yield slice(start - block.start, stop - block.start), slice(start, stop)

    @property
    def diagonal_and_groups(self) -> tuple[torch.Tensor, torch.Tensor | None]:
        """What fused kernels change in `products`: the diagonal, [b], and the groups to mask, [b]."""
        return self.diagonal, self._groups

    def unmasked(self, kernels: Kernels) -> torch.Tensor | int:
        """How many logits of each row, or column, are not masked, [b]."""
        return self.pairs if self._groups is None else self.pairs + 1 - kernels.group_sizes(self._groups)

    def products(self, block: slice) -> torch.Tensor:
        """The logits of some rows, [rows, b], in the type of the products, none of them masked."""
        return self.queries[block] @ self.positives.T

    def empty(self, block: slice) -> torch.Tensor:
        """Memory for the logits of some rows, [rows, b]."""
        return self.diagonal.new_empty(block.stop - block.start, self.pairs)

    def fill(self, block: slice, memory: torch.Tensor) -> Iterator[tuple[slice, torch.Tensor]]:
        """Writes the logits of some rows into `memory`; yields rows and their logits while these are in the cache."""
        products = torch.mm(self.queries[block], self.positives.T, out=None if self.rounds else memory)
        self._mask(products, block)
        for piece, rows in self.pieces(block):
            logits = memory[piece]
            if self.rounds:
                logits.copy_(products[piece])
            logits.diagonal(rows.start).copy_(self.diagonal[rows])
            yield rows, logits

    def with_negatives(self, side: int, block: slice) -> torch.Tensor:
        """The logits of some queries (side 0) or positives (side 1) with the negatives, [rows, m]."""
        logits = (self.sides[side][block] @ self.negatives[0].T).to(self._sum_type)
        if self._groups is not None and self._negative_groups is not None:
            logits.masked_fill_(self._groups[block, None] == self._negative_groups, -math.inf)
        return logits

    def _mask(self, logits: torch.Tensor, block: slice) -> None:
        """Masks the pairs of a pair's own group, itself among them."""
        if self._groups is None:
            return
        if self._rows_to_mask is None:
            logits.masked_fill_(self._groups[block, None] == self._groups, -math.inf)
            return
        rows = self._rows_to_mask[(self._rows_to_mask >= block.start) & (self._rows_to_mask < block.stop)]
        rows_in_block = rows - block.start
        mask = self._groups[rows, None] == self._groups
        logits[rows_in_block] = logits[rows_in_block].masked_fill_(mask, -math.inf)


def fits_float32(temperature: float | torch.Tensor) -> bool:
    """Whether exponentials of logits at this temperature fit into float32; reading a tensor's value would wait."""
    return isinstance(temperature, torch.Tensor) or 1 / temperature <= LARGEST_FLOAT32_LOGIT


def _rows_of_shared_groups(groups: torch.Tensor) -> torch.Tensor:
    """The rows whose group has another pair in the batch, unordered and possibly repeated."""
    ordered, rows = groups.sort()
    repeats = torch.nonzero(ordered[1:] == ordered[:-1]).squeeze(1)
    return rows[torch.cat([repeats, repeats + 1])]
