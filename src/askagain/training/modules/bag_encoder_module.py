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
from askagain.models.bag_encoder import BagEncoder, check_pooling
from askagain.models.folder import CHECKPOINT_KEY, checkpoint_entry, packed_encoder, read_checkpoint
from askagain.text.features import Features
from askagain.text.preprocessor import TextPreprocessor
from askagain.training.losses.nt_xent import NTXentLoss
from askagain.training.losses.recorded import loss_from_settings, loss_settings
from askagain.training.modules.base import RetrievalModule
from askagain.training.modules.initialization import Initializer
from askagain.training.optim.embedding_bag import TensorBags, embedding_bag_sum

ROW_WEIGHTS = {"none": None, "idf": "fixed_weights", "learned": "learned_weights"}  # names in the state_dict


class BagEncoderModule(RetrievalModule):
    """Trains every row of a `BagEncoder`'s table; a subclass says what its loss is called with.

    Args:
        preprocessor: Splits a text into words.
        features: Maps words to rows of the table.
        idf: Returns the weight of each feature, see `inverse_document_frequencies`; called only where it is needed.
        loss: The loss of unnormalised vectors; any `nn.Module`. Its parameters are trained as well.
        optimizer: Takes the parameters (None: for a module that is not trained).
        scheduler: Takes the optimizer and `total_steps` (None: likewise).
        dim: The length of a vector.
        init_std: Standard deviation of the table's first values.
        feature_weights: What each row is multiplied by: `none`, `idf` (fixed) or `learned` (starts from idf).
        pooling: `sum` or `mean`, of the encoder that is saved. Training does not depend on it, since losses see the
            direction of a vector only.
        start: What some rows start from, see `Initializer.fill` (None: all rows start random).

    Raises:
        InputError: Unknown feature weights or pooling, or a start that does not fit.
    """

    def __init__(
        self,
        preprocessor: TextPreprocessor,
        features: Features,
        idf: Callable[[], np.ndarray],
        loss: nn.Module,
        optimizer: Callable[..., Optimizer] | None,
        scheduler: Callable[..., LambdaLR] | None,
        dim: int,
        init_std: float,
        feature_weights: str = "none",
        pooling: str = "sum",
        start: Initializer | None = None,
    ) -> None:
        check_pooling(pooling)
        if feature_weights not in ROW_WEIGHTS:
            raise InputError(f"feature_weights={feature_weights}: not one of {', '.join(ROW_WEIGHTS)}")
        super().__init__(features, optimizer, scheduler)
        self.preprocessor = preprocessor
        table = torch.empty(features.size, dim).normal_(std=init_std)
        self.bag = nn.EmbeddingBag(features.size, dim, mode=pooling, include_last_offset=True, _weight=table)
        self._weights_name = ROW_WEIGHTS[feature_weights]
        if feature_weights == "learned":
            self.learned_weights = nn.Parameter(torch.from_numpy(idf()))
        elif feature_weights == "idf":
            self.register_buffer("fixed_weights", torch.from_numpy(idf()))
        self.loss = loss
        self._initialized_rows = 0 if start is None else self._initialize(start, init_std)
        encoder = {"dim": dim, "pooling": pooling, "feature_weights": feature_weights}
        self.save_hyperparameters(encoder | {"loss": loss_settings(loss)}, logger=False)

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
        """
        checkpoint = read_checkpoint(checkpoint_path, map_location)
        try:
            encoder = packed_encoder(checkpoint)
            recorded = checkpoint[cls.CHECKPOINT_HYPER_PARAMS_KEY]
            module = cls(
                encoder.preprocessor,
                encoder.features,
                lambda: np.empty(encoder.features.size, dtype=np.float32),
                loss or loss_from_settings(recorded["loss"]),
                optimizer,
                scheduler,
                encoder.dim,
                init_std=0.0,
                feature_weights=recorded["feature_weights"],
                pooling=encoder.pooling,
            )
            module.load_state_dict(checkpoint["state_dict"])
        except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise InputError(f"{checkpoint_path}: not a checkpoint of {cls.__name__} ({reason})") from error
        return module

    @torch.no_grad()
    def _initialize(self, start: Initializer, init_std: float) -> int:
        """Fills rows so that they are those of the start once they have been weighted; returns how many."""
        rows = start.fill(self.bag.weight, self.features, init_std)
        if self.row_weights is not None:
            self.bag.weight[rows] /= self.row_weights[rows].unsqueeze(1)
        return len(rows)

    @property
    def row_weights(self) -> torch.Tensor | None:
        """What each row of the table is multiplied by, [features.size]; None where all rows weigh the same."""
        return None if self._weights_name is None else getattr(self, self._weights_name)

    @property
    def encoder(self) -> BagEncoder:
        """The encoder as it is now. Without weights it shares the table that is trained; else it has a table of its
        own, each row multiplied by its weight.
        """
        table = self.bag.weight.detach()
        if self.row_weights is not None:
            table = table * self.row_weights.detach().unsqueeze(1)
        return BagEncoder(self.preprocessor, self.features, table, self.bag.mode, normalize=True)

    def pool(self, bags: TensorBags) -> torch.Tensor:
        """Unnormalised vectors of bags, [bags, dim]."""
        self.note_rows(bags)
        return embedding_bag_sum(self.bag.weight, bags, self.sparse, self.row_weights)

    def counts(self) -> dict[str, float]:
        """Rows that started from an encoder or from word vectors instead of random."""
        return {"started_rows": self._initialized_rows}

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

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_save_checkpoint(checkpoint)
        checkpoint[CHECKPOINT_KEY] = self._checkpoint_entry

    @cached_property
    def _checkpoint_entry(self) -> dict[str, Any]:
        """What makes a checkpoint an encoder by itself: it does not change while the weights do."""
        return checkpoint_entry(self.encoder, "bag.weight", self._weights_name)

    @cached_property
    def _nt_xent_losses(self) -> tuple[NTXentLoss, ...]:
        """The loss itself or those that it wraps, if they are NT-Xent; a tuple, so that none is registered twice."""
        return tuple(loss for loss in self.loss.modules() if isinstance(loss, NTXentLoss))
