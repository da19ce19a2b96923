"""Distillation: an EmbeddingBag encoder learns to give a text the vector that a large teacher gives it."""

from functools import partial
from typing import Any

import torch
from torch.nn.functional import kl_div, normalize

from askagain.errors import InputError
from askagain.training.data.batches import DistillationBatch
from askagain.training.losses.nt_xent_fused import nt_xent
from askagain.training.modules.bag_encoder_module import BagEncoderModule, check_temperature


class Distillation(BagEncoderModule):
    """Trains an encoder on a weighted sum of up to three losses; a weight of 0 leaves one out.

    `vector_weight`: of 1 minus the cosine with the teacher's vector. `similarity_weight`: of how far the softmax over a
    text's similarities to the others of the batch is from the teacher's, at `similarity_temperature`; see
    `similarity_loss`. `nt_xent_weight`: of NT-Xent over the texts of the batch that have a duplicate, see `nt_xent`.

    `dim`: that of the teacher. The rest: see `BagEncoderModule`. With several devices each computes the whole loss.

    Raises InputError for a value out of range.
    """

    def __init__(
        self,
        *,
        vector_weight: float,
        similarity_weight: float,
        similarity_temperature: float,
        nt_xent_weight: float,
        **settings: Any,
    ) -> None:
        super().__init__(**settings)
        check_temperature("similarity_temperature", similarity_temperature)
        weights = (vector_weight, similarity_weight, nt_xent_weight)
        if min(weights) < 0 or max(vector_weight, similarity_weight) == 0:
            raise InputError(
                f"model.vector_weight={vector_weight}, similarity_weight={similarity_weight}, "
                f"nt_xent_weight={nt_xent_weight}: none may be below 0, nor both of the first two be 0"
            )
        if self.log_temperature is not None and not nt_xent_weight:
            raise InputError("model.learn_temperature: without model.nt_xent_weight there is no temperature to learn")
        self.vector_weight = vector_weight
        self.similarity_weight = similarity_weight
        self.similarity_temperature = similarity_temperature
        self.nt_xent_weight = nt_xent_weight

    def loss(self, batch: DistillationBatch) -> torch.Tensor:
        """The weighted sum of the losses of one batch, a scalar."""
        vectors = self.sums(batch.bags)  # [b + p, dim]
        units = normalize(vectors[: batch.size], eps=self.eps)
        loss = self.vector_weight * (1 - (units * batch.teacher).sum(dim=1)).mean()  # not rounded under autocast
        if self.similarity_weight:
            loss = loss + self.similarity_weight * self.matryoshka_loss(partial(self._similarity, batch), vectors)
        if self.nt_xent_weight and len(batch.paired):
            loss = loss + self.nt_xent_weight * self.matryoshka_loss(partial(self._nt_xent, batch), vectors)
        return loss

    def _similarity(self, batch: DistillationBatch, vectors: torch.Tensor) -> torch.Tensor:
        units = normalize(vectors[: batch.size], eps=self.eps)
        return similarity_loss(units, batch.teacher, self.similarity_temperature)

    def _nt_xent(self, batch: DistillationBatch, vectors: torch.Tensor) -> torch.Tensor:
        pairs = torch.cat([vectors[batch.paired], vectors[batch.size :]])  # [2p, width]
        groups = self.masked(batch.groups)
        return nt_xent(pairs, groups, self.temperature, self.eps, label_smoothing=self.label_smoothing)


def similarity_loss(units: torch.Tensor, teacher: torch.Tensor, temperature: float) -> torch.Tensor:
    """The Kullback-Leibler divergence of similarity distributions from the teacher's, a mean over the batch's texts.

    The distribution of a text is the softmax, at `temperature`, over its similarities to the other texts of the batch.
    `units`, `teacher`: [b, dim], unit rows. 0 where there are fewer than three texts.
    Source: Tejankar et al., "ISD: Self-Supervised Learning by Iterative Similarity Distillation", ICCV 2021.
    """
    if len(units) < 3:
        return units.sum() * 0
    student, wanted = (_similarities(vectors) / temperature for vectors in (units, teacher))
    return kl_div(student.log_softmax(dim=1), wanted.log_softmax(dim=1), reduction="batchmean", log_target=True)


def _similarities(units: torch.Tensor) -> torch.Tensor:
    """The cosine of each text with each other one, [b, b - 1]."""
    count = len(units)
    others = ~torch.eye(count, dtype=torch.bool, device=units.device)
    return (units @ units.T)[others].view(count, count - 1)
