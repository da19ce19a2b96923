"""The encoder that all experiments give: the sum or mean of table rows, one for each feature of the text."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from askagain.errors import InputError
from askagain.text.bags import Bags
from askagain.text.features import Features
from askagain.text.fields import Fields
from askagain.text.preprocessor import TextPreprocessor
from askagain.text.text_tokenizer import TextTokenizer

POOLINGS = ("sum", "mean")
TEXTS_A_BLOCK = 4_096  # their vectors stay in the processor's cache until they are normalized and written
TEXTS_AT_A_TIME = 1 << 17  # tokenized: bounds the memory
LARGEST = 1e14  # numbers of a table in use; the squares of their sums still fit into float32
SHORTEST = 1e-12  # shorter vectors are divided by this, so that zero stays zero


class BagEncoder(nn.Module):
    """Cleans a text, looks up the table rows of its features and pools them; satisfies `Encoder`.

    Args:
        preprocessor: Splits a text into words.
        features: Maps words to rows of the table.
        table: [features.size, dim] float32.
        pooling: `sum` or `mean` over the features of a text.
        normalize: Scale vectors to length 1; zero vectors stay zero.

    Raises:
        InputError: Another pooling, or a table with another number of rows than the features need.
    """

    def __init__(
        self,
        preprocessor: TextPreprocessor,
        features: Features,
        table: torch.Tensor,
        pooling: str = "sum",
        normalize: bool = False,
    ) -> None:
        super().__init__()
        check_pooling(pooling)
        if len(table) != features.size:
            raise InputError(f"the table has {len(table)} rows, the features need {features.size}")
        self.preprocessor = preprocessor
        self.features = features
        self.normalize = normalize
        self._tokenizer = TextTokenizer(preprocessor, features)
        rows, dim = table.shape
        self.bag = nn.EmbeddingBag(rows, dim, mode=pooling, include_last_offset=True, _weight=table)

    @property
    def dim(self) -> int:
        return self.bag.embedding_dim

    @property
    def is_finite(self) -> bool:
        """Whether all numbers of the table are finite, and so small that sums of rows have a length in float32."""
        smallest, largest = torch.aminmax(self.bag.weight.detach())
        return bool((smallest > -LARGEST) & (largest < LARGEST))  # false for NaN

    @property
    def pooling(self) -> str:
        return self.bag.mode

    def with_preprocessor(self, preprocessor: TextPreprocessor) -> "BagEncoder":
        """The same table behind another preprocessor."""
        return BagEncoder(preprocessor, self.features, self.bag.weight.data, self.pooling, self.normalize)

    def truncated(self, dim: int) -> "BagEncoder":
        """The encoder of the first `dim` columns; raises InputError where there are fewer."""
        if not 1 <= dim <= self.dim:
            raise InputError(f"dim={dim}: must be from 1 to {self.dim}, the length of the encoder's vectors")
        table = self.bag.weight.data[:, :dim].contiguous()
        return BagEncoder(self.preprocessor, self.features, table, self.pooling, self.normalize)

    def tokenize(self, texts: Sequence[str | Mapping[str, Any]]) -> Bags:
        """The feature ids of each text. Raises TypeError for a single string in place of a sequence of them."""
        if isinstance(texts, str):
            raise TypeError("texts is one string; give a list of texts")
        fields = self.preprocessor.fields or Fields(["title"])
        return self._tokenizer([text if isinstance(text, str) else fields.compose(text) for text in texts])

    def forward(self, ids: torch.Tensor, offsets: torch.Tensor) -> torch.Tensor:
        """The vectors of bags of feature ids: [tokens] and [bags + 1] integers give [bags, dim]."""
        vectors = self.bag(ids, offsets)
        return vectors / _lengths(vectors) if self.normalize else vectors

    def embed(self, bags: Bags) -> np.ndarray:
        """The vectors of tokenized texts: [len(bags), dim] float32."""
        vectors = np.empty((len(bags), self.dim), dtype=np.float32)
        self._embed_into(vectors, bags)
        return vectors

    @torch.no_grad()
    def _embed_into(self, vectors: np.ndarray, bags: Bags) -> None:
        device = self.bag.weight.device
        for start in range(0, len(bags), TEXTS_A_BLOCK):
            part = bags.slice(start, min(start + TEXTS_A_BLOCK, len(bags)))
            ids, offsets = (torch.from_numpy(array.astype(np.int32)) for array in (part.ids, part.offsets))
            block = self.bag(ids.to(device), offsets.to(device))
            target = torch.from_numpy(vectors[start : start + len(block)])
            if self.normalize:
                lengths = _lengths(block)
                refuse_infinite(lengths)  # divided by it, vectors would become 0
                block.div_(lengths)
            target.copy_(block)

    def encode(self, texts: Sequence[str | Mapping[str, Any]]) -> np.ndarray:
        """[len(texts), dim] float32; a zero row for a text in which nothing is known; equal rows for equal texts.

        An encoder that was trained with `data.fields` also takes a question as a dictionary of its fields.
        """
        vectors = np.empty((len(texts), self.dim), dtype=np.float32)
        for start in range(0, len(texts), TEXTS_AT_A_TIME):
            part = texts[start : start + TEXTS_AT_A_TIME]
            self._embed_into(vectors[start : start + len(part)], self.tokenize(part))
        return vectors


def check_pooling(pooling: str) -> None:
    """Raises InputError for a pooling that is not one of `POOLINGS`."""
    if pooling not in POOLINGS:
        raise InputError(f"pooling={pooling}: not one of {', '.join(POOLINGS)}")


def refuse_infinite(lengths: torch.Tensor) -> None:
    """Raises InputError where the length of a vector is not finite."""
    if not lengths.isfinite().all():
        raise InputError(
            "the encoder gives vectors that are not finite, or too long for float32: train it again with a lower "
            "optimizer.lr, or choose another encoder"
        )


def _lengths(vectors: torch.Tensor) -> torch.Tensor:
    """The length of each vector, [bags, 1], but at least `SHORTEST`."""
    return torch.linalg.vector_norm(vectors, dim=1, keepdim=True).clamp_min_(SHORTEST)
