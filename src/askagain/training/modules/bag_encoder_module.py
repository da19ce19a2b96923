"""Modules that train a whole bag encoder: they pool bags into vectors and hand these to a loss."""

import logging
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from pytorch_lightning.utilities import rank_zero_only
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from askagain.errors import InputError
from askagain.models.bag_encoder import BagEncoder
from askagain.models.checkpoint import CHECKPOINT_KEY, packed_encoder, read_checkpoint
from askagain.training.losses.nt_xent import NTXentLoss
from askagain.training.losses.recorded import loss_from_settings, loss_settings
from askagain.training.modules.base import RetrievalModule
from askagain.training.modules.trainable_encoder import TrainableEncoder
from askagain.training.optim.embedding_bag import TensorBags

log = logging.getLogger(__name__)


class BagEncoderModule(RetrievalModule):
    """Trains every row of a `BagEncoder`'s table; a subclass says what its loss is called with.

    Args:
        encoder: The encoder to train.
        loss: The loss of unnormalised vectors; any `nn.Module`. Its parameters are trained as well.
        optimizer: Takes the parameters (None: for a module that is not trained).
        scheduler: Takes the optimizer and `total_steps` (None: likewise).
    """

    def __init__(
        self,
        encoder: TrainableEncoder,
        loss: nn.Module,
        optimizer: Callable[..., Optimizer] | None = None,
        scheduler: Callable[..., LambdaLR] | None = None,
    ) -> None:
        super().__init__(encoder.features, optimizer, scheduler)
        self.trainable = encoder
        self.loss = loss
        self._has_warned = False  # of batches without negatives
        self.save_hyperparameters(encoder.settings | {"loss": loss_settings(loss)}, logger=False)

    @classmethod
    def from_settings(cls, loss: nn.Module, optimizer: Any, scheduler: Any, **encoder: Any) -> Self:
        """The module of a new encoder; `encoder`: the arguments of `TrainableEncoder`, the others as of the class."""
        return cls(TrainableEncoder(**encoder), loss, optimizer, scheduler)

    @classmethod
    def load_from_checkpoint(  # type: ignore[override]
        cls,
        checkpoint_path: str | Path,
        map_location: Any = "cpu",
        *,
        loss: nn.Module | None = None,
        optimizer: Callable[..., Optimizer] | None = None,
        scheduler: Callable[..., LambdaLR] | None = None,
    ) -> Self:
        """The module that wrote a checkpoint; it needs no other file, wherever the checkpoint was moved to.

        Args:
            checkpoint_path: A .ckpt file.
            map_location: Where to load the weights to.
            loss: The loss, needed where it is a class of one's own (None: the checkpoint's).
            optimizer: The optimizer to train on with, needed for that only.
            scheduler: The scheduler to train on with, likewise.

        Raises:
            InputError: There is no such checkpoint, it is damaged or of another module, or its loss is not known.

        To test it, give the Trainer the callback that ranks, and a datamodule with a test set:
        `Trainer(callbacks=[HitsAtK([1, 10], "expected")]).test(module, datamodule=datamodule)`.
        """
        checkpoint = read_checkpoint(checkpoint_path, map_location)
        try:
            saved = packed_encoder(checkpoint)
            recorded = checkpoint[cls.CHECKPOINT_HYPER_PARAMS_KEY]
            encoder = TrainableEncoder(
                saved.preprocessor,
                saved.features,
                lambda: np.empty(saved.features.size, dtype=np.float32),
                saved.dim,
                init_std=0.0,
                feature_weights=recorded["feature_weights"],
                pooling=saved.pooling,
            )
            module = cls(encoder, loss or loss_from_settings(recorded["loss"]), optimizer, scheduler)
            module.load_state_dict(checkpoint["state_dict"])
        except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise InputError(f"{checkpoint_path}: not a checkpoint of {cls.__name__} ({reason})") from error
        return module

    @property
    def encoder(self) -> BagEncoder:
        """The encoder as it is now, see `TrainableEncoder.encoder`."""
        return self.trainable.encoder()

    @property
    def dim(self) -> int:
        """The length of the encoder's vectors, without making an encoder."""
        return self.trainable.bag.embedding_dim

    def pool(self, bags: TensorBags) -> torch.Tensor:
        """Unnormalised vectors of bags, [bags, dim]."""
        self.note_rows(bags)
        return self.trainable.pool(bags, self.sparse)

    def counts(self) -> dict[str, float]:
        """Rows that started from an encoder or from word vectors instead of random."""
        return {"started_rows": self.trainable.initialized_rows}

    def optimizer_step(self, *args: Any, **settings: Any) -> None:
        """Steps, then keeps a learned temperature in its range."""
        super().optimizer_step(*args, **settings)
        for loss in self._nt_xent_losses:
            loss.clamp_temperature()

    def on_train_epoch_end(self) -> None:
        super().on_train_epoch_end()
        for loss in self._nt_xent_losses:
            if loss.log_temperature is not None:
                self.log("train/temperature", loss.temperature)
            share = float(loss.without_negatives) / max(1, loss.batches)
            loss.forget_batches()
            if share:
                self.log("train/share_without_negatives", share)
                if not self._has_warned:
                    rank_zero_only(log.warning)(
                        "%.3g%% of the batches had no negatives, since all their pairs are of one group; they change "
                        "nothing: raise data.batch_size",
                        100 * share,
                    )
                self._has_warned = True

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_save_checkpoint(checkpoint)
        checkpoint[CHECKPOINT_KEY] = self._checkpoint_entry

    @cached_property
    def _checkpoint_entry(self) -> dict[str, Any]:
        """See `TrainableEncoder.checkpoint_entry`; it does not change while the weights do."""
        return self.trainable.checkpoint_entry("trainable.")

    @cached_property
    def _nt_xent_losses(self) -> tuple[NTXentLoss, ...]:
        """The loss itself or those that it wraps, if they are NT-Xent; a tuple, so that none is registered twice."""
        return tuple(loss for loss in self.loss.modules() if isinstance(loss, NTXentLoss))
