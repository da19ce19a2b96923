"""Distillation: an EmbeddingBag encoder learns to give a text the vector that a large teacher gives it."""

import torch

from askagain.training.data.batches import DistillationBatch
from askagain.training.modules.bag_encoder_module import BagEncoderModule


class Distillation(BagEncoderModule):
    """Trains an encoder with `DistillationLoss`, or a loss that is called like it, on texts with a teacher's vectors.

    The encoder's dim is that of the teacher. With several devices each computes the whole loss.
    """

    def batch_loss(self, batch: DistillationBatch) -> torch.Tensor:
        texts, duplicates = self.pool(batch.bags).split([batch.size, len(batch.paired)])
        pairs = {"queries": texts[batch.paired], "positives": duplicates, "groups": batch.groups}
        return self.loss(texts, batch.teacher, **pairs)
