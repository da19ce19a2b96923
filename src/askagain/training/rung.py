"""What the trained rungs have in common: a loss is logged and minimized, and there is an encoder to rank with."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Protocol

import torch
from pytorch_lightning import LightningModule
from torch.nn.utils import get_total_norm
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from askagain.errors import InputError
from askagain.text.features import Features
from askagain.training.bag_sum import TensorBags, bag_sum
from askagain.training.rowwise_adagrad import RowwiseAdagrad

FEATURES = "features"  # a checkpoint's key
OPTIMIZER = "optimizer_class"  # likewise
REPEAT = "a resumed run needs the data, preprocessor, features, model and optimizer settings of the first"


class Batch(Protocol):
    """A batch knows how many examples it holds."""

    @property
    def size(self) -> int:
        """Examples in the batch."""


class Rung(LightningModule, ABC):
    """A LightningModule that minimizes `loss`; a subclass gives `loss`, and `encoder` (a `BagEncoder`) to rank with.

    `features`: what the rows of its embedding table stand for. `optimizer` takes the parameters; `scheduler` takes the
    optimizer and `total_steps`, and moves every step.
    """

    def __init__(
        self, features: Features, optimizer: Callable[..., Optimizer], scheduler: Callable[..., LambdaLR]
    ) -> None:
        super().__init__()
        self.features = features
        self._optimizer = optimizer
        self._scheduler = scheduler
        self._distinct_rows = 0  # that the last batch used

    @abstractmethod
    def loss(self, batch: Any) -> torch.Tensor:
        """The loss of one batch, a scalar."""

    def bag_sum(self, table: torch.Tensor, bags: TensorBags) -> torch.Tensor:
        """The sums of table rows, [bags, dim]; their gradient is sparse where the optimizer takes that.

        With several devices it is dense: not all of their backends reduce sparse gradients.
        """
        if self.training:
            self._distinct_rows = len(bags.rows)
        alone = self._trainer is None or self.trainer.world_size == 1
        return bag_sum(table, bags, sparse=alone and self._optimizer_class is RowwiseAdagrad)

    @property
    def _optimizer_class(self) -> object:
        return getattr(self._optimizer, "func", self._optimizer)

    def training_step(self, batch: Batch, batch_idx: int) -> torch.Tensor:
        """Logs the loss of the batch as `train/loss`, and its mean over the epoch's examples as `train/loss_epoch`."""
        loss = self.loss(batch)
        self.log("train/loss", loss, prog_bar=True)
        self.log("train/loss_epoch", loss, on_step=False, on_epoch=True, batch_size=batch.size, sync_dist=True)
        return loss

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Logs the mean loss over the held-out examples as `val/loss`."""
        self.log("val/loss", self.loss(batch), prog_bar=True, batch_size=batch.size)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Notes which features the weights belong to, and what the optimizer's state is of."""
        checkpoint[FEATURES] = self.features.fingerprint
        checkpoint[OPTIMIZER] = str(self._optimizer_class)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Raises InputError where the weights belong to another model or to other features."""
        own = {name: weights.shape for name, weights in self.state_dict().items()}
        if {name: weights.shape for name, weights in checkpoint["state_dict"].items()} != own:
            raise InputError("ckpt_path: the checkpoint is of another model or other data; " + REPEAT)
        if checkpoint.get(FEATURES) != self.features.fingerprint:
            raise InputError("ckpt_path: the checkpoint was trained on other words; " + REPEAT)
        if checkpoint.get(OPTIMIZER) != str(self._optimizer_class):
            raise InputError("ckpt_path: the checkpoint was trained with another optimizer; " + REPEAT)

    def on_after_backward(self) -> None:
        """Notes that a sparse gradient of a single batch has each row once; autograd forgets what it was told."""
        for parameter in self.parameters():
            gradient = parameter.grad
            if gradient is not None and gradient.is_sparse and gradient._nnz() == self._distinct_rows:
                gradient._coalesced_(True)

    def configure_gradient_clipping(
        self,
        optimizer: Optimizer,
        gradient_clip_val: int | float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clips by norm or by value, as Lightning does, also gradients that are sparse."""
        if not gradient_clip_val:
            return
        values = []
        for parameter in self.parameters():
            if parameter.grad is not None and parameter.grad.is_sparse:
                parameter.grad = parameter.grad.coalesce()  # that of several batches may have a row several times
                values.append(parameter.grad.values())
            elif parameter.grad is not None:
                values.append(parameter.grad)
        if gradient_clip_algorithm == "value":
            for value in values:
                value.clamp_(-gradient_clip_val, gradient_clip_val)
            return
        scale = (gradient_clip_val / (get_total_norm(values) + 1e-6)).clamp_(max=1)
        for value in values:
            value.mul_(scale)

    def configure_optimizers(self) -> Any:
        """One optimizer over all parameters, its learning rate moved every step."""
        optimizer = self._optimizer(self.parameters())
        schedule = self._scheduler(optimizer, total_steps=int(self.trainer.estimated_stepping_batches))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}
