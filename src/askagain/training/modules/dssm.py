"""Rung 3: an EmbeddingBag encoder trained on pairs of duplicates."""

from typing import Any

import torch

from askagain.native.library import GRAPHS, choice
from askagain.training.data.batches import DuplicateBatch
from askagain.training.data.resident import ResidentPairs
from askagain.training.kernels.choice import gpu_kernels
from askagain.training.kernels.graphs import RecordedSteps
from askagain.training.losses.nt_xent import NTXentLoss
from askagain.training.modules.bag_encoder_module import BagEncoderModule
from askagain.training.optim.embedding_bag import split_rows


class DSSM(BagEncoderModule):
    """Trains one encoder for both sides of a pair; the loss is `NTXentLoss` or one that is called like it.

    On one GPU, with `kernels=graphs`, batches that are cut there are pooled and compared, and their gradients computed,
    in CUDA graphs.

    Source: Huang et al., "Learning Deep Structured Semantic Models for Web Search using Clickthrough Data", CIKM 2013.
    """

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self._recorded = RecordedSteps()

    def batch_loss(self, batch: DuplicateBatch | ResidentPairs) -> torch.Tensor:
        if isinstance(batch, DuplicateBatch):
            return self._loss_of(batch)
        if not self._can_be_recorded():
            return self._loss_of(batch.cut())
        texts, groups, tokens, size = batch.numbers
        parameters = [parameter for parameter in self.parameters() if parameter.requires_grad]

        def loss_of(room: int, texts: torch.Tensor, groups: torch.Tensor) -> torch.Tensor:
            return self._loss_of(batch.cut_into(room, texts, groups))

        loss, self._gradient_rows = self._recorded.loss(loss_of, parameters, size, tokens, texts, groups)
        return loss

    def on_train_start(self) -> None:
        """Forgets graphs of a training that was broken off."""
        self._recorded = RecordedSteps()

    def on_train_end(self) -> None:
        """Frees the memory of graphs."""
        self._recorded = RecordedSteps()

    def _loss_of(self, batch: DuplicateBatch) -> torch.Tensor:
        pooled = self.pool(batch.bags)  # [2b + m, dim]
        hard = len(pooled) - 2 * batch.size
        queries, positives, negatives = split_rows(pooled, [batch.size, batch.size, hard])
        others = {"negatives": negatives if hard else None, "groups": batch.groups, "world": self.world}
        return self.loss(queries, positives, **others)

    def _can_be_recorded(self) -> bool:
        """Whether graphs are asked for, a step launches the same kernels for each batch, and its gradients are used
        before the next.
        """
        table = self.trainable.bag.weight
        return choice() == GRAPHS and (
            (table.is_cuda and table.dtype == torch.float32 and gpu_kernels() is not None)
            and (self.training and torch.is_grad_enabled())
            and (self.world.size == 1 and self.trainer.accumulate_grad_batches == 1)
            and type(self.loss) is NTXentLoss
            and not (torch.is_anomaly_enabled() or any(each._backward_hooks for each in self.parameters()))
        )
