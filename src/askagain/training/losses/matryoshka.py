"""The Matryoshka loss: the first columns of a vector should be a good vector by themselves."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn


class MatryoshkaLoss(nn.Module):
    """Another loss over whole vectors, plus its weighted mean over vectors that are cut off after `dims` columns.

    Use it where vectors shall be shortened after training, `askagain.load(path, dim=64)`. It wraps any loss.

    Source: Kusupati et al., "Matryoshka Representation Learning", NeurIPS 2022.

    Example:
        >>> from askagain.training.losses.nt_xent import NTXentLoss
        >>> queries, positives = torch.randn(2, 8, 16)
        >>> nt_xent = NTXentLoss()
        >>> whole, short = nt_xent(queries, positives), nt_xent(queries[:, :4], positives[:, :4])
        >>> found = MatryoshkaLoss(nt_xent, dims=[4, 16], weight=0.5)(queries, positives)
        >>> torch.testing.assert_close(found, whole + 0.5 * short)

    Args:
        loss: The loss to wrap.
        dims: Numbers of columns to keep; those that do not shorten a vector are left out.
        weight: Weight of the mean loss of the shortened vectors; the loss of whole vectors weighs 1.
    """

    def __init__(self, loss: nn.Module, dims: Sequence[int], weight: float = 0.1) -> None:
        super().__init__()
        self.loss = loss
        self.dims = sorted(set(dims))
        self.weight = weight
        self.settings = {"loss": loss, "dims": list(dims), "weight": weight}

    def forward(self, *vectors: torch.Tensor, negatives: torch.Tensor | None = None, **arguments: Any) -> torch.Tensor:
        """`vectors` and `negatives`, each [rows, dim], are shortened; other `arguments` are passed on as they are."""
        if negatives is not None:
            arguments["negatives"] = negatives
        whole = self.loss(*vectors, **arguments)
        dims = [dim for dim in self.dims if dim < vectors[0].shape[1]]
        if not dims:
            return whole
        shortened = []
        for dim in dims:
            if negatives is not None:
                arguments["negatives"] = negatives[:, :dim]
            shortened.append(self.loss(*(side[:, :dim] for side in vectors), **arguments))
        return whole + self.weight * torch.stack(shortened).mean()
