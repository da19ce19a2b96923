"""A bag encoder while it is trained: its table, and weights of its rows that are fixed or trained with it."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn

from askagain.errors import InputError
from askagain.models.bag_encoder import BagEncoder, check_pooling
from askagain.models.folder import CHECKPOINT_KEY, checkpoint_entry, scale_rows, unpack_parts
from askagain.text.features import Features
from askagain.text.preprocessor import TextPreprocessor
from askagain.training.modules.initialization import Initializer
from askagain.training.optim.embedding_bag import TensorBags, embedding_bag_sum

FEATURE_WEIGHTS = ("none", "idf", "learned")


class TrainableEncoder(nn.Module):
    """A table to train, and the `BagEncoder` that it makes.

    Args:
        preprocessor: Splits a text into words.
        features: Maps words to rows of the table.
        table: [features.size, dim], the first values.
        pooling: `sum` or `mean`, of the encoder that is saved. Training does not depend on it, since losses see the
            direction of a vector only.
        weights: [features.size], what each row is multiplied by (None: all rows weigh the same).
        learn_weights: Train the weights as well.
    """

    def __init__(
        self,
        preprocessor: TextPreprocessor,
        features: Features,
        table: torch.Tensor,
        pooling: str = "sum",
        weights: torch.Tensor | None = None,
        learn_weights: bool = False,
    ) -> None:
        super().__init__()
        check_pooling(pooling)
        self.preprocessor = preprocessor
        self.features = features
        rows, dim = table.shape
        self.bag = nn.EmbeddingBag(rows, dim, mode=pooling, include_last_offset=True, _weight=table)
        self.learned_weights = nn.Parameter(weights) if weights is not None and learn_weights else None
        self.fixed_weights: torch.Tensor | None
        self.register_buffer("fixed_weights", None if learn_weights else weights)
        self.initialized_rows = 0  # rows that did not start random

    @classmethod
    def from_settings(
        cls,
        preprocessor: TextPreprocessor,
        features: Features,
        idf: Callable[[], np.ndarray],
        dim: int,
        init_std: float,
        feature_weights: str = "none",
        pooling: str = "sum",
        start: Initializer | None = None,
    ) -> "TrainableEncoder":
        """A new encoder.

        Args:
            preprocessor: Splits a text into words.
            features: Maps words to rows of the table.
            idf: Returns the weight of each feature, see `inverse_document_frequencies`; called only where it is needed.
            dim: The length of a vector.
            init_std: Standard deviation of the table's first values.
            feature_weights: `none`, `idf` (fixed weights) or `learned` (weights that start from idf).
            pooling: `sum` or `mean`, of the encoder that is saved.
            start: What some rows start from, see `Initializer.fill` (None: all rows start random).

        Raises:
            InputError: Unknown feature weights or pooling, or a start that does not fit.
        """
        if feature_weights not in FEATURE_WEIGHTS:
            raise InputError(f"feature_weights={feature_weights}: not one of {', '.join(FEATURE_WEIGHTS)}")
        table = torch.empty(features.size, dim).normal_(std=init_std)
        weights = None if feature_weights == "none" else torch.from_numpy(idf())
        encoder = cls(preprocessor, features, table, pooling, weights, feature_weights == "learned")
        if start is not None:
            encoder._initialize(start, init_std)
        return encoder

    @classmethod
    def from_checkpoint(cls, checkpoint: dict[str, Any]) -> "TrainableEncoder":
        """The encoder of a checkpoint, its weights yet to be loaded from the state_dict."""
        entry = checkpoint[CHECKPOINT_KEY]
        parts = unpack_parts(entry["files"])
        table = torch.empty(parts.features.size, parts.dim)
        weights = None if entry["row_weights"] is None else torch.empty(parts.features.size)
        learned = weights is not None and entry["row_weights"].endswith("learned_weights")
        return cls(parts.preprocessor, parts.features, table, parts.pooling, weights, learned)

    @torch.no_grad()
    def _initialize(self, start: Initializer, init_std: float) -> None:
        """Fills rows so that they are those of the start once they have been weighted."""
        rows = start.fill(self.bag.weight, self.features, init_std)
        if self.row_weights is not None:
            self.bag.weight[rows] /= self.row_weights[rows].unsqueeze(1)
        self.initialized_rows = len(rows)

    @property
    def row_weights(self) -> torch.Tensor | None:
        """What each row of the table is multiplied by, [features.size]; None where all rows weigh the same."""
        return self.fixed_weights if self.learned_weights is None else self.learned_weights

    @property
    def settings(self) -> dict[str, Any]:
        """The settings that decide which parameters there are, as plain values."""
        weights = "none" if self.row_weights is None else "idf" if self.learned_weights is None else "learned"
        return {"dim": self.bag.embedding_dim, "pooling": self.bag.mode, "feature_weights": weights}

    def pool(self, bags: TensorBags, sparse: bool) -> torch.Tensor:
        """Unnormalised vectors of bags, [bags, dim]; with `sparse` their gradient holds the rows of these bags only."""
        return embedding_bag_sum(self.bag.weight, bags, sparse, self.row_weights)

    def encoder(self) -> BagEncoder:
        """The encoder as it is now. Without weights it shares the table that is trained; else it has a table of its
        own, each row multiplied by its weight.
        """
        table = self.bag.weight.detach()
        if self.row_weights is not None:
            table = scale_rows(table, self.row_weights.detach())
        return BagEncoder(self.preprocessor, self.features, table, self.bag.mode, normalize=True)

    def checkpoint_entry(self, prefix: str) -> dict[str, Any]:
        """What a checkpoint says of its encoder; `prefix`: of this module's names in the checkpoint's state_dict."""
        weights = None if self.row_weights is None else "fixed" if self.learned_weights is None else "learned"
        row_weights = None if weights is None else f"{prefix}{weights}_weights"
        return checkpoint_entry(self.encoder(), f"{prefix}bag.weight", row_weights)
