"""A bag encoder while it is trained: its table, and weights of its rows that are fixed or trained with it."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn

from askagain.errors import InputError
from askagain.files.memory import free_memory
from askagain.models.bag_encoder import BagEncoder, check_pooling
from askagain.models.checkpoint import checkpoint_entry
from askagain.text.features import Features
from askagain.text.preprocessor import TextPreprocessor
from askagain.training.optim.embedding_bag import TensorBags, embedding_bag_sum
from askagain.training.starts import Initializer

ROW_WEIGHTS = {"none": None, "idf": "fixed_weights", "learned": "learned_weights"}  # names in the state_dict
INIT_LENGTHS = ("equal", "idf")


class TrainableEncoder(nn.Module):
    """A table to train, and the `BagEncoder` that it makes.

    Args:
        preprocessor: Splits a text into words.
        features: Maps words to rows of the table.
        idf: Returns the weight of each feature, see `inverse_document_frequencies`; called only where it is needed.
        dim: The length of a vector.
        init_std: Standard deviation of the table's first values.
        init_lengths: How long random rows are: `equal`, or `idf`, multiplied by idf, with which an untrained encoder
            ranks like TF-IDF. It changes nothing where `feature_weights` multiply rows by idf already.
        feature_weights: What each row is multiplied by: `none`, `idf` (fixed) or `learned` (starts from idf); the
            weights of a question's fields are part of each.
        pooling: `sum` or `mean`, of the encoder that is saved. Training does not depend on it, since losses see the
            direction of a vector only.
        start: What some rows start from, see `Initializer.fill` (None: all rows start random).
        word_rows: Returns what the rows of known words start from, [words, dim], before `start` is written (None:
            random values).

    Raises:
        InputError: Unknown feature weights, lengths or pooling, a start that does not fit, or a table that memory
            cannot hold.
    """

    def __init__(
        self,
        preprocessor: TextPreprocessor,
        features: Features,
        idf: Callable[[], np.ndarray],
        dim: int,
        init_std: float,
        feature_weights: str = "none",
        pooling: str = "sum",
        start: Initializer | None = None,
        init_lengths: str = "equal",
        word_rows: Callable[[], np.ndarray] | None = None,
    ) -> None:
        check_pooling(pooling)
        if init_lengths not in INIT_LENGTHS:
            raise InputError(f"init_lengths={init_lengths}: not one of {', '.join(INIT_LENGTHS)}")
        if feature_weights not in ROW_WEIGHTS:
            raise InputError(f"feature_weights={feature_weights}: not one of {', '.join(ROW_WEIGHTS)}")
        super().__init__()
        self.preprocessor = preprocessor
        self.features = features
        self.settings = {"dim": dim, "pooling": pooling, "feature_weights": feature_weights}
        refuse_too_large(features.size, dim)
        table = torch.empty(features.size, dim).normal_(std=init_std)
        self.bag = nn.EmbeddingBag(features.size, dim, mode=pooling, include_last_offset=True, _weight=table)
        self._weights_name = ROW_WEIGHTS[feature_weights]
        if feature_weights == "learned":
            self.learned_weights = nn.Parameter(torch.from_numpy(idf()))
        elif feature_weights == "idf":
            self.register_buffer("fixed_weights", torch.from_numpy(idf()))
        elif preprocessor.fields is not None:
            self.register_buffer("fixed_weights", torch.from_numpy(features.field_weights(preprocessor.fields)))
            self._weights_name = "fixed_weights"
        if init_lengths == "idf" and feature_weights == "none":
            self._lengthen(idf())
        written = [] if word_rows is None else [self._write_words(word_rows())]
        written += [] if start is None else [self._initialize(start, init_std, idf)]
        self.initialized_rows = len(torch.unique(torch.cat(written))) if written else 0

    @torch.no_grad()
    def _lengthen(self, idf: np.ndarray) -> None:
        """Multiplies each row by its idf, so that this is its length once rows have been weighted."""
        lengths = torch.from_numpy(idf.copy()).unsqueeze(1)
        if self.row_weights is not None:
            lengths /= self.row_weights.unsqueeze(1)
        self.bag.weight *= lengths

    def _initialize(self, start: Initializer, init_std: float, idf: Callable[[], np.ndarray]) -> torch.Tensor:
        """Fills rows so that they are those of the start once they have been weighted; returns which."""
        with torch.no_grad():
            rows = start.fill(self.bag.weight, self.features, init_std, idf)
        return self._undo_weights(rows)

    def _write_words(self, vectors: np.ndarray) -> torch.Tensor:
        """Likewise with the rows of known words, which come first."""
        rows = torch.arange(len(vectors))
        with torch.no_grad():
            self.bag.weight[: len(vectors)] = torch.from_numpy(vectors)
        return self._undo_weights(rows)

    @torch.no_grad()
    def _undo_weights(self, rows: torch.Tensor) -> torch.Tensor:
        if self.row_weights is not None:
            self.bag.weight[rows] /= self.row_weights[rows].unsqueeze(1)
        return rows

    @property
    def row_weights(self) -> torch.Tensor | None:
        """What each row of the table is multiplied by, [features.size]; None where all rows weigh the same."""
        return None if self._weights_name is None else getattr(self, self._weights_name)

    def pool(self, bags: TensorBags, sparse: bool) -> torch.Tensor:
        """Unnormalised vectors of bags, [bags, dim]; with `sparse` their gradient holds the rows of these bags only."""
        return embedding_bag_sum(self.bag.weight, bags, sparse, self.row_weights)

    def encoder(self) -> BagEncoder:
        """The encoder as it is now. Without weights it shares the table that is trained; else it has a table of its
        own, each row multiplied by its weight.
        """
        table = self.bag.weight.detach()
        if self.row_weights is not None:
            table = table * self.row_weights.detach().unsqueeze(1)
        return BagEncoder(self.preprocessor, self.features, table.cpu().numpy(), self.bag.mode, normalize=True)

    def checkpoint_entry(self, prefix: str) -> dict[str, Any]:
        """What makes a checkpoint an encoder by itself; `prefix`: of this module's names in the state_dict."""
        row_weights = None if self._weights_name is None else prefix + self._weights_name
        return checkpoint_entry(self.encoder(), f"{prefix}bag.weight", row_weights)


def refuse_too_large(rows: int, dim: int) -> None:
    """Raises InputError where a table of so many rows would not fit into memory."""
    needed, free = rows * dim * torch.finfo(torch.float32).bits // 8, free_memory()
    if free is not None and needed > free:
        raise InputError(
            f"model.dim={dim}: a table of {rows:,} rows takes {needed / 2**30:,.1f} GiB of memory, and "
            f"{free / 2**30:,.1f} GiB are free; lower model.dim"
        )
