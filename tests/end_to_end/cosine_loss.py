"""A loss of a user's own, as its one file would be."""

import torch
from torch import nn
from torch.nn.functional import cosine_similarity


class CosineLoss(nn.Module):
    """Pulls the pairs together, but no further than to a cosine of `enough`; it uses no negatives."""

    def __init__(self, enough: float) -> None:
        super().__init__()
        self.enough = enough

    def forward(self, queries: torch.Tensor, positives: torch.Tensor, **_: object) -> torch.Tensor:
        """`queries`, `positives`: [b, dim], of any length."""
        return (self.enough - cosine_similarity(queries, positives)).clamp(min=0).mean()
