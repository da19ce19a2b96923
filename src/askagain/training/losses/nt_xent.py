"""NT-Xent: a query should be closer to its own positive than to all other candidates of the batch, and vice versa."""

import math
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.nn.functional import normalize

from askagain.distributed.collectives import World
from askagain.errors import InputError
from askagain.training.losses.nt_xent_fused import fused_nt_xent, no_rows
from askagain.training.losses.nt_xent_logits import LARGEST_FLOAT32_LOGIT

SMALLEST_TEMPERATURE = 0.0015  # the exponential of one over it still fits into float64
SMALLEST_LEARNED_TEMPERATURE = 1 / LARGEST_FLOAT32_LOGIT


class NTXentLoss(nn.Module):
    """The symmetric NT-Xent loss of a batch of b pairs, a scalar.

    With unit rows Q (queries), D (positives) and N (hard negatives), and a temperature t, it is the mean over i of
    -1/2 log softmax_row([Q D', Q N'] / t)_ii - 1/2 log softmax_row([D Q', D N'] / t)_ii.

    Use it for pairs of texts that mean the same: the other pairs of the batch are the negatives, so larger batches make
    a harder task. `ReferenceNTXentLoss` computes the same in a few readable lines; this one needs a fraction of its
    time and memory, see `fused_nt_xent`. A batch in which no pair has a negative, since all are of one group, teaches
    nothing: its loss and gradient are exactly 0. `without_negatives` counts such batches among the `batches` trained.

    Source: Chen et al., "A Simple Framework for Contrastive Learning of Visual Representations", ICML 2020, with the
    two directions of Radford et al., "Learning Transferable Visual Models From Natural Language Supervision", 2021.

    Example:
        >>> queries = torch.tensor([[1.0, 0.0], [0.0, 2.0]])
        >>> positives = torch.tensor([[3.0, 0.0], [0.0, 1.0]])
        >>> loss = NTXentLoss(temperature=0.5)
        >>> round(loss(queries, positives).item(), 4)
        0.1269
        >>> round(loss(queries, positives, groups=torch.tensor([7, 7])).item(), 4)
        0.0

    Args:
        temperature: What cosines are divided by; where training starts from if it is learned.
        learn_temperature: Train the temperature as well.
        label_smoothing: Share of the target that is spread evenly over the unmasked candidates of a row, below 1.
        eps: Vectors shorter than this are divided by it instead of by their length, so that zero stays zero.
        mask_same_group: Leave other members of a pair's group out of its softmax instead of pushing them away.
        gather: With several ranks, compare a pair with those of all ranks; else with those of its own rank, and all
            hard negatives, only.

    Raises:
        InputError: The temperature is too low for the softmax to be computed.
    """

    def __init__(
        self,
        temperature: float = 0.1,
        learn_temperature: bool = False,
        label_smoothing: float = 0.0,
        eps: float = 1e-8,
        mask_same_group: bool = True,
        gather: bool = True,
    ) -> None:
        super().__init__()
        smallest = SMALLEST_LEARNED_TEMPERATURE if learn_temperature else SMALLEST_TEMPERATURE
        if temperature < smallest:
            learned = " with learn_temperature" if learn_temperature else ""
            raise InputError(f"temperature={temperature}: must be at least {smallest}{learned}")
        self.settings = {
            "temperature": temperature,
            "learn_temperature": learn_temperature,
            "label_smoothing": label_smoothing,
            "eps": eps,
            "mask_same_group": mask_same_group,
            "gather": gather,
        }
        self.log_temperature = nn.Parameter(torch.tensor(math.log(temperature))) if learn_temperature else None
        self.label_smoothing = label_smoothing
        self.eps = eps
        self.mask_same_group = mask_same_group
        self.gather = gather
        self._temperature = temperature
        self.batches: int | torch.Tensor = 0
        self.without_negatives: int | torch.Tensor = 0

    @property
    def temperature(self) -> float | torch.Tensor:
        """The temperature now; a scalar tensor where it is learned."""
        return self._temperature if self.log_temperature is None else self.log_temperature.exp()

    @torch.no_grad()
    def clamp_temperature(self) -> None:
        """Clamps a learned temperature so that logits fit into float32; call it after each step of the optimizer."""
        if self.log_temperature is not None:
            self.log_temperature.clamp_(min=math.log(SMALLEST_LEARNED_TEMPERATURE))

    def forward(
        self,
        queries: torch.Tensor,
        positives: torch.Tensor,
        *,
        negatives: torch.Tensor | None = None,
        groups: torch.Tensor | None = None,
        world: World | None = None,
    ) -> torch.Tensor:
        """The loss, a scalar.

        Args:
            queries: [b, dim], of any length.
            positives: [b, dim], the positive of each query.
            negatives: [m, dim], hard negatives that all pairs are compared with.
            groups: [b + m] integers, the group of each pair and of each hard negative (None: all different).
            world: The ranks that train together. All give the same whole batch, and get the same loss and gradient.
        """
        world = world or World()
        groups = groups if self.mask_same_group else None
        negatives = no_rows(queries) if negatives is None else negatives
        temperature = self.temperature
        fused = partial(fused_nt_xent, eps=self.eps, label_smoothing=self.label_smoothing)
        if world.size == 1 or self.gather:
            others: Any = {"negatives": negatives, "groups": groups, "world": world}
            loss = fused(queries, positives, temperature, **others)
            return self._zero_without_negatives(loss, len(queries) + len(negatives), groups)
        # The mean over all pairs of the loss that each has among those of its rank's shard, and all hard negatives.
        queries, positives, negatives = map(world.all_reduce_grad, (queries, positives, negatives))
        if isinstance(temperature, torch.Tensor):
            temperature = world.all_reduce_grad(temperature)
        pairs = len(queries)
        shard = world.shard(pairs)
        if shard.start < shard.stop:
            shard_groups = None if groups is None else torch.cat([groups[:pairs][shard], groups[pairs:]])
            loss = fused(queries[shard], positives[shard], temperature, negatives=negatives, groups=shard_groups)
            loss = self._zero_without_negatives(loss, shard.stop - shard.start + len(negatives), shard_groups)
        else:  # fewer pairs than ranks: a zero that takes part in reducing the gradients
            loss = 0 * (queries.sum() + positives.sum() + negatives.sum() + temperature)
        part = loss * ((shard.stop - shard.start) / pairs)
        return part + (world.all_reduce(part.detach().clone()) - part.detach())

    def forget_batches(self) -> None:
        """Counts `batches` and those `without_negatives` from 0 again."""
        self.batches *= 0
        self.without_negatives *= 0

    def _count(self, has_negatives: bool | torch.Tensor, device: torch.device) -> None:
        """Counts a batch; on a GPU in place, so that a CUDA graph that was recorded once goes on counting."""
        counted_on = self.batches.device if isinstance(self.batches, torch.Tensor) else torch.device("cpu")
        if device.type == "cuda" and counted_on != device:
            self.batches, self.without_negatives = (
                torch.full((), float(count), device=device) for count in (self.batches, self.without_negatives)
            )
        self.batches += 1
        self.without_negatives += (
            has_negatives.logical_not() if isinstance(has_negatives, torch.Tensor) else not has_negatives
        )

    def _zero_without_negatives(self, loss: torch.Tensor, candidates: int, groups: torch.Tensor | None) -> torch.Tensor:
        """The loss; 0, with a gradient of 0, where all candidates of a direction are of one group.

        Sums of exponentials are rounded, and optimizers such as Adagrad would turn what is left of 1 - 1 into whole
        steps. A candidate of another group than the first makes every pair have a negative.
        """
        if groups is None:
            has_negatives: bool | torch.Tensor = candidates > 1
        else:
            has_negatives = (groups != groups[0]).any()
            if not groups.is_cuda:  # which would be waited for
                has_negatives = bool(has_negatives)
        if torch.is_grad_enabled():
            self._count(has_negatives, loss.device)
        return loss if has_negatives is True else loss * has_negatives + 0.0  # not -0


class ReferenceNTXentLoss(NTXentLoss):
    """NT-Xent as one reads it in a paper: what `NTXentLoss` is tested against, and a start for losses of one's own.

    It takes the same settings and arguments. Every rank computes the whole loss, and autograd its gradient.

    Example:
        >>> queries, positives = torch.randn(2, 8, 16)
        >>> groups = torch.arange(8) // 2
        >>> reference = ReferenceNTXentLoss(temperature=0.2)(queries, positives, groups=groups)
        >>> torch.testing.assert_close(NTXentLoss(temperature=0.2)(queries, positives, groups=groups), reference)
    """

    def forward(
        self,
        queries: torch.Tensor,
        positives: torch.Tensor,
        *,
        negatives: torch.Tensor | None = None,
        groups: torch.Tensor | None = None,
        world: World | None = None,
    ) -> torch.Tensor:
        """Computes the loss; the arguments are those of `NTXentLoss.forward`."""
        negatives = queries[:0] if negatives is None else negatives
        queries, positives, negatives = (normalize(side, eps=self.eps) for side in (queries, positives, negatives))
        masked = self._masked(len(queries), len(negatives), groups, world or World()).to(queries.device)
        directions = ((queries, positives), (positives, queries))
        loss = torch.stack([self._loss(rows, torch.cat([own, negatives]), masked) for rows, own in directions]).mean()
        groups = groups if self.mask_same_group else None
        return self._zero_without_negatives(loss, len(queries) + len(negatives), groups)

    def _loss(self, rows: torch.Tensor, candidates: torch.Tensor, masked: torch.Tensor) -> torch.Tensor:
        """The cross-entropy of each row [b, dim] with its own candidate [b + m, dim], which has the row's number."""
        logits = (rows @ candidates.T / self.temperature).masked_fill(masked, -torch.inf)
        log_shares = logits.log_softmax(dim=1)
        spread = log_shares.masked_fill(masked, 0).sum(dim=1) / masked.logical_not().sum(dim=1)
        return -((1 - self.label_smoothing) * log_shares.diagonal() + self.label_smoothing * spread).mean()

    def _masked(self, pairs: int, negatives: int, groups: torch.Tensor | None, world: World) -> torch.Tensor:
        """The candidates that each row leaves out, [b, b + m]: its group and, without `gather`, other ranks' pairs."""
        masked = torch.zeros(pairs, pairs + negatives, dtype=torch.bool)
        if groups is not None and self.mask_same_group:
            masked = (groups[:pairs, None] == groups).clone()
        if not self.gather:
            shards = [World(rank, world.size).shard(pairs) for rank in range(world.size)]
            ranks = torch.repeat_interleave(torch.tensor([shard.stop - shard.start for shard in shards]))
            masked[:, :pairs] |= (ranks[:, None] != ranks).to(masked.device)
        masked[:, :pairs].fill_diagonal_(False)
        return masked
