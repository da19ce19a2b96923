"""Rung 3: an EmbeddingBag encoder trained on pairs of duplicates."""

import torch

from askagain.training.data.batches import DuplicateBatch
from askagain.training.modules.bag_encoder_module import BagEncoderModule
from askagain.training.optim.embedding_bag import split_rows


class DSSM(BagEncoderModule):
    """Trains one encoder for both sides of a pair; the loss is `NTXentLoss` or one that is called like it.

    Source: Huang et al., "Learning Deep Structured Semantic Models for Web Search using Clickthrough Data", CIKM 2013.
    """

    def batch_loss(self, batch: DuplicateBatch) -> torch.Tensor:
        pooled = self.pool(batch.bags)  # [2b + m, dim]
        hard = len(pooled) - 2 * batch.size
        queries, positives, negatives = split_rows(pooled, [batch.size, batch.size, hard])
        others = {"negatives": negatives if hard else None, "groups": batch.groups, "world": self.world}
        return self.loss(queries, positives, **others)
