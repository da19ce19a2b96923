"""Modules that train a whole bag encoder: they pool bags into vectors and hand these to a loss."""

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from askagain.errors import InputError
from askagain.models.bag_encoder import BagEncoder
from askagain.models.folder import CHECKPOINT_KEY, read_checkpoint
from askagain.text.features import Features
from askagain.text.preprocessor import TextPreprocessor
from askagain.training.losses.nt_xent import NTXentLoss
from askagain.training.modules.base import RetrievalModule
from askagain.training.modules.initialization import Initializer
from askagain.training.modules.recorded import (
    factory_from_settings,
    factory_settings,
    loss_from_settings,
    loss_settings,
)
from askagain.training.modules.trainable_encoder import TrainableEncoder
from askagain.training.optim.embedding_bag import TensorBags


class BagEncoderModule(RetrievalModule):
    """Trains every row of a `BagEncoder`'s table; a subclass says what its loss is called with.

    Args:
        encoder: The encoder to train.
        loss: The loss of unnormalised vectors; any `nn.Module`. Its parameters are trained as well.
        optimizer: Takes the parameters, see `RetrievalModule`.
        scheduler: Takes the optimizer and `total_steps`, see `RetrievalModule`.
    """

    def __init__(
        self,
        encoder: TrainableEncoder,
        loss: nn.Module,
        optimizer: Callable[..., Optimizer],
        scheduler: Callable[..., LambdaLR],
    ) -> None:
        super().__init__(encoder.features, optimizer, scheduler)
        self.trainable = encoder
        self.loss = loss
        recorded = {"optimizer": factory_settings(optimizer), "scheduler": factory_settings(scheduler)}
        self.save_hyperparameters(encoder.settings | {"loss": loss_settings(loss)} | recorded, logger=False)

    @classmethod
    def from_settings(
        cls,
        preprocessor: TextPreprocessor,
        features: Features,
        idf: Callable[[], np.ndarray],
        loss: nn.Module,
        optimizer: Callable[..., Optimizer],
        scheduler: Callable[..., LambdaLR],
        dim: int,
        init_std: float,
        feature_weights: str = "none",
        pooling: str = "sum",
        start: Initializer | None = None,
    ) -> Self:
        """The module of a new encoder; the arguments are those of `TrainableEncoder.from_settings` and of the class."""
        settings = {"feature_weights": feature_weights, "pooling": pooling, "start": start}
        encoder = TrainableEncoder.from_settings(preprocessor, features, idf, dim, init_std, **settings)  # type: ignore[arg-type]
        return cls(encoder, loss, optimizer, scheduler)

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
            optimizer: The optimizer to train on with (None: the checkpoint's).
            scheduler: The scheduler to train on with (None: the checkpoint's).

        Raises:
            InputError: There is no such checkpoint, it is damaged or of another module, or its loss is not known.
        """
        checkpoint = read_checkpoint(checkpoint_path, map_location)
        try:
            recorded = checkpoint[cls.CHECKPOINT_HYPER_PARAMS_KEY]
            module = cls(
                TrainableEncoder.from_checkpoint(checkpoint),
                loss or loss_from_settings(recorded["loss"]),
                optimizer or factory_from_settings(recorded["optimizer"]),
                scheduler or factory_from_settings(recorded["scheduler"]),
            )
            module.load_state_dict(checkpoint["state_dict"])
        except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise InputError(f"{checkpoint_path}: not a checkpoint of {cls.__name__} ({reason})") from error
        return module

    @property
    def encoder(self) -> BagEncoder:
        """The encoder as it is now, see `TrainableEncoder.encoder`."""
        return self.trainable.encoder()

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
        """Logs what `RetrievalModule` does, and a learned temperature as `train/temperature`."""
        super().on_train_epoch_end()
        for loss in self._nt_xent_losses:
            if loss.log_temperature is not None:
                self.log("train/temperature", loss.temperature)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Adds the files of the encoder, so that a checkpoint can be used by itself."""
        super().on_save_checkpoint(checkpoint)
        checkpoint[CHECKPOINT_KEY] = self._checkpoint_entry

    @cached_property
    def _checkpoint_entry(self) -> dict[str, Any]:
        return self.trainable.checkpoint_entry("trainable.")

    @cached_property
    def _nt_xent_losses(self) -> tuple[NTXentLoss, ...]:
        """The loss itself or those that it wraps, if they are NT-Xent; a tuple, so that none is registered twice."""
        return tuple(loss for loss in self.loss.modules() if isinstance(loss, NTXentLoss))
