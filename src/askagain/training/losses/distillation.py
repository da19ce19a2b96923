"""The loss of distillation: a teacher's vectors, its similarities, and pairs of duplicates beside them."""

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn.functional import normalize

from askagain.errors import InputError
from askagain.training.losses.matryoshka import MatryoshkaLoss
from askagain.training.losses.similarity import SimilarityLoss


class DistillationLoss(nn.Module):
    """A weighted sum of up to three losses, a scalar; a weight of 0 leaves one out.

    Use it to train a small encoder on texts with a teacher's vectors, of which some may have a known duplicate.

    Example:
        >>> from askagain.training.losses.nt_xent import NTXentLoss
        >>> texts, duplicates = torch.randn(8, 16), torch.randn(2, 16)
        >>> teacher = torch.nn.functional.normalize(torch.randn(8, 16))
        >>> loss = DistillationLoss(NTXentLoss(), matryoshka_dims=[4, 8])
        >>> loss(texts, teacher, queries=texts[:2], positives=duplicates) > 0
        tensor(True)

    Args:
        nt_xent: The loss of pairs of duplicates, such as `NTXentLoss`.
        vector_weight: Weight of 1 minus the cosine with the teacher's vector.
        similarity_weight: Weight of `SimilarityLoss`.
        similarity_temperature: The temperature of `SimilarityLoss`.
        nt_xent_weight: Weight of `nt_xent`.
        matryoshka_dims: `dims` of a `MatryoshkaLoss` around both `SimilarityLoss` and `nt_xent`.
        matryoshka_weight: Its `weight`.
        eps: Vectors shorter than this are divided by it instead of by their length.

    Raises:
        InputError: Neither the teacher's vectors nor its similarities have a weight, or a temperature is to be learned
            that has no loss.
    """

    def __init__(
        self,
        nt_xent: nn.Module,
        vector_weight: float = 1.0,
        similarity_weight: float = 3.0,
        similarity_temperature: float = 0.1,
        nt_xent_weight: float = 0.3,
        matryoshka_dims: Sequence[int] = (),
        matryoshka_weight: float = 0.1,
        eps: float = 1e-8,
    ) -> None:
        super().__init__()
        if max(vector_weight, similarity_weight) <= 0:
            raise InputError("vector_weight=0, similarity_weight=0: at least one of both must be above 0")
        if not nt_xent_weight and any(True for _ in nt_xent.parameters()):
            raise InputError(
                "learn_temperature: needs nt_xent_weight above 0, without it there is nothing to learn from"
            )
        self.settings = {
            "nt_xent": nt_xent,
            "vector_weight": vector_weight,
            "similarity_weight": similarity_weight,
            "similarity_temperature": similarity_temperature,
            "nt_xent_weight": nt_xent_weight,
            "matryoshka_dims": list(matryoshka_dims),
            "matryoshka_weight": matryoshka_weight,
            "eps": eps,
        }
        self.similarity = MatryoshkaLoss(
            SimilarityLoss(similarity_temperature, eps), matryoshka_dims, matryoshka_weight
        )
        self.nt_xent = MatryoshkaLoss(nt_xent, matryoshka_dims, matryoshka_weight)
        self.vector_weight = vector_weight
        self.similarity_weight = similarity_weight
        self.nt_xent_weight = nt_xent_weight
        self.eps = eps

    def forward(
        self,
        texts: torch.Tensor,
        teacher: torch.Tensor,
        *,
        queries: torch.Tensor,
        positives: torch.Tensor,
        groups: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Computes the loss.

        Args:
            texts: [b, dim], the student's vectors of all texts, of any length.
            teacher: [b, dim], the teacher's vectors of the same texts, unit rows.
            queries: [p, dim], the student's vectors of the texts that have a duplicate; p may be 0.
            positives: [p, dim], those of their duplicates.
            groups: [p] integers, the group of each pair (None: all different).
        """
        units = normalize(texts, eps=self.eps)
        loss = self.vector_weight * (1 - (units * teacher).sum(dim=1)).mean()  # not rounded under autocast
        if self.similarity_weight:
            loss = loss + self.similarity_weight * self.similarity(texts, teacher=teacher)
        if self.nt_xent_weight and len(queries):
            loss = loss + self.nt_xent_weight * self.nt_xent(queries, positives, groups=groups)
        return loss
