"""Rung 3: an EmbeddingBag encoder trained with NT-Xent on pairs of duplicates."""

from collections.abc import Callable

import torch
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from askagain.errors import InputError
from askagain.models.bag_encoder import BagEncoder
from askagain.text.features import Features
from askagain.text.preprocessor import TextPreprocessor
from askagain.training.batches import DuplicateBatch
from askagain.training.nt_xent import SMALLEST_TEMPERATURE, nt_xent
from askagain.training.rung import Rung


class DSSM(Rung):
    """Trains one encoder for both sides of a pair.

    `dim`: the length of a vector. `init_std`: standard deviation of the table's first values. `temperature`, `eps`,
    `mask_same_group`: see `nt_xent`. `optimizer`, `scheduler`: see `Rung`. Raises InputError for a value out of range.
    Source: Huang et al., "Learning Deep Structured Semantic Models for Web Search using Clickthrough Data", CIKM 2013.
    """

    def __init__(
        self,
        preprocessor: TextPreprocessor,
        features: Features,
        optimizer: Callable[..., Optimizer],
        scheduler: Callable[..., LambdaLR],
        dim: int,
        init_std: float,
        temperature: float,
        eps: float,
        mask_same_group: bool,
    ) -> None:
        super().__init__(features, optimizer, scheduler)
        if temperature < SMALLEST_TEMPERATURE:
            raise InputError(f"model.temperature={temperature}: must be at least {SMALLEST_TEMPERATURE}")
        if dim < 1:
            raise InputError(f"model.dim={dim}: must be at least 1")
        if init_std < 0:
            raise InputError(f"model.init_std={init_std}: must be at least 0")
        table = torch.empty(features.size, dim).normal_(std=init_std)
        self.encoder = BagEncoder(preprocessor, features, table, pooling="sum", normalize=True)
        self.temperature = temperature
        self.eps = eps
        self.mask_same_group = mask_same_group

    def loss(self, batch: DuplicateBatch) -> torch.Tensor:
        """The NT-Xent loss of one batch, a scalar."""
        vectors = self.bag_sum(self.encoder.bag.weight, batch.bags)  # [2b, dim]
        groups = batch.groups if self.mask_same_group else None
        return nt_xent(vectors, groups, self.temperature, self.eps)
