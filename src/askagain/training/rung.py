"""What the trained rungs have in common: a loss is logged and minimized, and there is an encoder to rank with."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Protocol

import torch
from pytorch_lightning import LightningModule
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR


class Batch(Protocol):
    """A batch knows how many examples it holds."""

    @property
    def size(self) -> int:
        """Examples in the batch."""


class Rung(LightningModule, ABC):
    """A LightningModule that minimizes `loss`; a subclass gives `loss`, and `encoder` (a `BagEncoder`) to rank with.

    `optimizer` takes the parameters; `scheduler` takes the optimizer and `total_steps`, and moves every step.
    """

    def __init__(self, optimizer: Callable[..., Optimizer], scheduler: Callable[..., LambdaLR]) -> None:
        super().__init__()
        self._optimizer = optimizer
        self._scheduler = scheduler

    @abstractmethod
    def loss(self, batch: Any) -> torch.Tensor:
        """The loss of one batch, a scalar: the mean over its examples."""

    def training_step(self, batch: Batch, batch_idx: int) -> torch.Tensor:
        """Logs the loss of the batch as `train/loss`, and its mean over the epoch's examples as `train/loss_epoch`."""
        loss = self.loss(batch)
        self.log("train/loss", loss, prog_bar=True)
        self.log("train/loss_epoch", loss, on_step=False, on_epoch=True, batch_size=batch.size)
        return loss

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Logs the mean loss over the held-out examples as `val/loss`."""
        self.log("val/loss", self.loss(batch), prog_bar=True, batch_size=batch.size)

    def configure_optimizers(self) -> Any:
        """One optimizer over all parameters, its learning rate moved every step."""
        optimizer = self._optimizer(self.parameters())
        schedule = self._scheduler(optimizer, total_steps=int(self.trainer.estimated_stepping_batches))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}
