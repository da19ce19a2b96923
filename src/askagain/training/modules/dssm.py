"""Rung 3: an EmbeddingBag encoder trained with NT-Xent on pairs of duplicates."""

from typing import Any

import torch

from askagain.training.data.batches import DuplicateBatch
from askagain.training.losses.nt_xent_fused import nt_xent
from askagain.training.modules.bag_encoder_module import BagEncoderModule


class DSSM(BagEncoderModule):
    """Trains one encoder for both sides of a pair.

    `gather`: see `nt_xent`. The rest: see `BagEncoderModule`.
    Source: Huang et al., "Learning Deep Structured Semantic Models for Web Search using Clickthrough Data", CIKM 2013.
    """

    def __init__(self, *, gather: bool, **settings: Any) -> None:
        super().__init__(**settings)
        self.gather = gather

    def loss(self, batch: DuplicateBatch) -> torch.Tensor:
        """The NT-Xent loss of one batch, a scalar."""
        groups = self.masked(batch.groups)

        def of(vectors: torch.Tensor) -> torch.Tensor:
            settings = (self.temperature, self.eps, self.world, self.gather, batch.size, self.label_smoothing)
            return nt_xent(vectors, groups, *settings)

        return self.matryoshka_loss(of, self.sums(batch.bags))
