"""What all trained modules have in common: they log and minimize a loss, and have an encoder to rank with."""

import logging
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from inspect import Parameter, signature
from typing import Any, Protocol

import torch
from pytorch_lightning.utilities import rank_zero_only
from torch.nn.utils import get_total_norm
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from askagain.distributed.collectives import World
from askagain.errors import InputError
from askagain.evaluation.evaluate import embed
from askagain.models.bag_encoder import BagEncoder
from askagain.text.bags import Bags
from askagain.text.features import Features
from askagain.training.data.batches import RankingBatch
from askagain.training.lightning_overhead import LeanModule, mark_coalesced
from askagain.training.optim.embedding_bag import TensorBags

FEATURES = "features"  # a checkpoint's key
OPTIMIZER = "optimizer_class"  # likewise
PREPROCESSOR = "preprocessor"
SCHEDULE = "schedule"
EPOCH = "epoch_so_far"
RANDOM_STATE = "random_state"
REPEAT = "a resumed run needs the data, preprocessor, features, start, model and optimizer settings of the first"

log = logging.getLogger(__name__)


class Batch(Protocol):
    """A batch knows how many examples it holds."""

    @property
    def size(self) -> int: ...


class RetrievalModule(LeanModule, ABC):
    """A LightningModule that minimizes `batch_loss`; a subclass gives this and the `encoder` to rank with.

    With several devices each of them has the whole table and the whole batch, and makes the whole update of the table
    by itself. What they share is the work inside `batch_loss`, which must give the same loss and the same gradient on
    all of them (see `World`). So the strategy reduces no gradient, and nothing of the table's size is communicated.

    `features` say what the rows of the embedding table stand for. `optimizer` takes the parameters, `scheduler` the
    optimizer and `total_steps`; it moves every step. A module that is not trained needs neither.
    """

    def __init__(
        self,
        features: Features,
        optimizer: Callable[..., Optimizer] | None,
        scheduler: Callable[..., LambdaLR] | None,
    ) -> None:
        super().__init__()
        self.features = features
        self._optimizer = optimizer
        self._scheduler = scheduler
        self.world = World()
        self._gradient_rows = 0  # of the last batch
        self._epoch_loss = torch.zeros((), dtype=torch.float64)  # summed over the epoch's examples so far
        self._epoch_examples = 0
        self._logged_loss: torch.Tensor | None = None  # the last train/loss
        self._schedule: dict[str, str] = {}
        self._resumed_schedule: dict[str, str] = {}  # of the checkpoint that training goes on from
        self._resumed_step = 0

    def setup(self, stage: str) -> None:
        self.world = World.current()

    def counts(self) -> dict[str, float]:
        """What is printed of the model before it is trained, by name."""
        return {}

    @property
    @abstractmethod
    def encoder(self) -> BagEncoder:
        """The encoder as it is now."""

    @property
    def dim(self) -> int:
        """The length of the encoder's vectors."""
        return self.encoder.dim

    @abstractmethod
    def batch_loss(self, batch: Any) -> torch.Tensor:
        """The loss of one batch, a scalar."""

    @torch.no_grad()
    def forward(self, texts: Sequence[str] | TensorBags) -> torch.Tensor:
        """The vectors that `encoder` gives to texts or to bags of feature ids, [texts, dim], on the module's device."""
        encoder = self.encoder
        if isinstance(texts, TensorBags):
            bags = Bags(texts.ids.cpu().numpy(), texts.offsets.cpu().numpy())
        else:
            bags = encoder.tokenize(texts)
        vectors = encoder.embed(bags)
        return torch.from_numpy(vectors).to(self.device)

    @property
    def sparse(self) -> bool:
        """Whether the table's gradients are sparse: where the optimizer's class says `takes_sparse_gradients`."""
        return getattr(self._optimizer_class, "takes_sparse_gradients", False)

    def note_rows(self, bags: TensorBags) -> None:
        """Notes how many rows the gradient of a training step will have."""
        if self.training:
            self._gradient_rows = len(bags.rows)

    @property
    def _optimizer_class(self) -> object:
        return getattr(self._optimizer, "func", self._optimizer)

    def training_step(self, batch: Batch, batch_idx: int) -> torch.Tensor:
        """Logs the loss as `train/loss`, but only at steps that loggers record, since logging takes a millisecond."""
        loss = self.batch_loss(batch)
        self._epoch_loss = self._epoch_loss.to(loss.device) + loss.detach() * batch.size
        self._epoch_examples += batch.size
        logged_every = max(1, self.trainer.log_every_n_steps)  # type: ignore[attr-defined]
        if (self.trainer.global_step + 1) % logged_every == 0:
            self.log("train/loss", loss, prog_bar=True)
            self._logged_loss = loss.detach()
        return loss

    def on_train_epoch_start(self) -> None:
        self._epoch_loss, self._epoch_examples = torch.zeros_like(self._epoch_loss, device=self.device), 0

    @property
    def epoch_loss(self) -> torch.Tensor:
        """The mean loss over the examples of the epoch so far, a scalar."""
        return self._epoch_loss / max(1, self._epoch_examples)

    def on_train_epoch_end(self) -> None:
        """Logs `train/loss_epoch`. Raises RuntimeError where the devices have come to different weights."""
        self.log("train/loss_epoch", self.epoch_loss.float())
        if self._logged_loss is not None and "train/loss" not in self.trainer.callback_metrics:
            self.log("train/loss", self._logged_loss, logger=False)  # logged before this run was resumed
        sums = [weights.detach().sum(dtype=torch.float64) for weights in self.parameters()]
        if not self.world.agrees_on(torch.stack(sums)):
            raise RuntimeError("the devices have come to different weights; are they of the same kind?")

    def validation_step(self, batch: Batch | RankingBatch, batch_idx: int) -> None:
        """Logs the mean loss over the held-out examples as `val/loss`; texts of a ranking set have no loss."""
        if not isinstance(batch, RankingBatch):
            self.log("val/loss", self.batch_loss(batch), prog_bar=True, batch_size=batch.size)

    def test_step(self, batch: RankingBatch, batch_idx: int) -> None:
        """Does nothing: the `HitsAtK` callback ranks the whole test set after its last batch."""

    def predict_step(self, batch: RankingBatch, batch_idx: int) -> torch.Tensor:
        """The encoder's vectors of the texts of a batch, [texts, dim]."""
        return torch.from_numpy(embed(self.encoder, batch.ranking, batch.texts))

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        logged = None if self._logged_loss is None else float(self._logged_loss)
        checkpoint[EPOCH] = {"loss": float(self._epoch_loss), "examples": self._epoch_examples, "logged": logged}
        checkpoint[RANDOM_STATE] = torch.get_rng_state()
        checkpoint[FEATURES] = self.features.fingerprint
        checkpoint[PREPROCESSOR] = self.encoder.preprocessor.to_dict()
        checkpoint[OPTIMIZER] = str(self._optimizer_class)
        checkpoint[SCHEDULE] = self._schedule

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Raises InputError where the weights belong to another model, to other features or to other words."""
        own = {name: weights.shape for name, weights in self.state_dict().items()}
        if {name: weights.shape for name, weights in checkpoint["state_dict"].items()} != own:
            raise InputError("ckpt_path: the checkpoint is of another model or other data; " + REPEAT)
        if checkpoint.get(FEATURES) != self.features.fingerprint:
            raise InputError("ckpt_path: the checkpoint was trained on other words; " + REPEAT)
        before, now = checkpoint.get(PREPROCESSOR, {}), self.encoder.preprocessor.to_dict()  # not in old checkpoints
        changed = ", ".join(f"preprocessor.{name}" for name in before if name in now and before[name] != now[name])
        if changed:
            raise InputError(f"ckpt_path: the checkpoint was trained with another {changed}; " + REPEAT)
        if self._optimizer is not None and checkpoint.get(OPTIMIZER) != str(self._optimizer_class):
            raise InputError("ckpt_path: the checkpoint was trained with another optimizer; " + REPEAT)
        self._resumed_schedule, self._resumed_step = checkpoint.get(SCHEDULE, {}), checkpoint["global_step"]
        torch.set_rng_state(checkpoint[RANDOM_STATE])
        self._epoch_loss = torch.tensor(checkpoint[EPOCH]["loss"], dtype=torch.float64)
        self._epoch_examples = checkpoint[EPOCH]["examples"]
        logged = checkpoint[EPOCH].get("logged")
        self._logged_loss = None if logged is None else torch.tensor(logged)

    def _described(self, steps: int) -> dict[str, str]:
        """What the learning rate of each step depends on, by the setting's name."""
        settings = {"steps": str(steps), "scheduler": _named(getattr(self._scheduler, "func", self._scheduler))}
        for section, function in (("optimizer", self._optimizer), ("scheduler", self._scheduler)):
            if function is not None:
                settings |= {f"{section}.{key}": _named(value) for key, value in _chosen(function).items()}
        return settings

    @rank_zero_only
    def _name_changes(self) -> None:
        """Logs the settings that differ from those of the checkpoint to resume from, and what becomes of them."""
        for key in sorted(self._resumed_schedule.keys() & self._schedule.keys()):
            before, now = self._resumed_schedule[key], self._schedule[key]
            if now == before:
                continue
            if key.startswith("optimizer."):
                log.warning("%s=%s has no effect: a resumed run goes on with the checkpoint's, %s", key, now, before)
            elif key == "steps" and int(now) <= self._resumed_step:
                continue  # nothing is left to train
            elif key == "steps":
                log.warning(
                    "the learning-rate schedule now spans %s steps, not %s: the run goes on, but not as one that was "
                    "not stopped",
                    *(now, before),
                )
            else:
                log.warning("%s=%s instead of %s changes the learning rates that follow", key, now, before)

    def on_after_backward(self) -> None:
        mark_coalesced(self.parameters(), self._gradient_rows)

    def configure_gradient_clipping(
        self,
        optimizer: Optimizer,
        gradient_clip_val: int | float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clips gradients, sparse ones included, by norm or by value."""
        if not gradient_clip_val:
            return
        values = []
        for parameter in self.parameters():
            if parameter.grad is not None and parameter.grad.is_sparse:
                parameter.grad = parameter.grad.coalesce()  # accumulated over batches, it may have a row twice
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
        """One optimizer over all parameters, its learning rate moved every step.

        Raises InputError where none was given, and where training has no end, over which the learning rate would move.
        """
        if self._optimizer is None or self._scheduler is None:
            raise InputError("optimizer=None: give optimizer= and scheduler= to train on")
        optimizer = self._optimizer(self.parameters())
        steps = self.trainer.estimated_stepping_batches
        if math.isinf(steps):
            epochs = self.trainer.max_epochs
            raise InputError(f"max_epochs={epochs}: training would never end; set it, or max_steps, to a number")
        self._schedule = self._described(int(steps))
        self._name_changes()
        schedule = self._scheduler(optimizer, total_steps=int(steps))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def _chosen(function: Callable[..., Any]) -> dict[str, Any]:
    """The arguments that a function or a partial of it is called with if none is added, by name."""
    parameters = signature(function).parameters
    defaults = {name: one.default for name, one in parameters.items() if one.default is not Parameter.empty}
    return defaults | getattr(function, "keywords", {})


def _named(value: Any) -> str:
    """The value as text that is the same in every process: of a function or a class its name."""
    return str(getattr(value, "__qualname__", type(value).__qualname__)) if callable(value) else str(value)
