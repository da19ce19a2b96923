"""Rung 2: letter n-grams learn to predict the vectors of known words, which gives unknown words a vector."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cosine_similarity
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from askagain.models.bag_encoder import BagEncoder
from askagain.models.checkpoint import CHECKPOINT_KEY
from askagain.text.features import Features
from askagain.text.ngrams import NgramTokenizer
from askagain.text.preprocessor import TextPreprocessor
from askagain.training.data.batches import RankingBatch, WordVectorBatch
from askagain.training.losses.squared_error import squared_error_of_sums
from askagain.training.modules.base import RetrievalModule
from askagain.training.optim.embedding_bag import embedding_bag_sum
from askagain.vectors.word_vectors import WordVectors


class TrigramRegressor(RetrievalModule):
    """Predicts a word's vector as the sum of its letter n-grams' vectors, by the mean squared error over known words.

    Its checkpoints hold the vectors of n-grams only: `load_encoder` takes the known words from the run's encoder
    folder, and `load_from_checkpoint` needs all arguments below.

    Args:
        preprocessor: Splits a text into words.
        vectors: The known words and their vectors.
        tokenizer: The letter n-grams.
        optimizer: Takes the parameters.
        scheduler: Takes the optimizer and `total_steps`.
        init_std: Standard deviation of the n-gram vectors' first values.
    """

    def __init__(
        self,
        preprocessor: TextPreprocessor,
        vectors: WordVectors,
        tokenizer: NgramTokenizer,
        optimizer: Callable[..., Optimizer],
        scheduler: Callable[..., LambdaLR],
        init_std: float,
    ) -> None:
        super().__init__(Features("words_else_trigrams", vectors.vocabulary, tokenizer), optimizer, scheduler)
        self.preprocessor = preprocessor
        self.bag = nn.EmbeddingBag(tokenizer.vocab_size, vectors.dim, mode="sum", include_last_offset=True)
        nn.init.normal_(self.bag.weight, std=init_std)
        # The known words' rows stay as they are; the n-grams' rows are copied when the encoder is asked for.
        self._table = torch.empty(self.features.size, vectors.dim)
        self._table[: len(vectors)] = torch.from_numpy(np.asarray(vectors.table))

    @property
    def encoder(self) -> BagEncoder:
        """The sum over a text's words of known words' own vectors and unknown words' predicted ones.

        Its cosines are those of the mean, since a cosine does not depend on the length of a vector. Its table changes
        when this property is read again.
        """
        self._table[-len(self.bag.weight) :] = self.bag.weight.detach().cpu()
        return BagEncoder(self.preprocessor, self.features, self._table.numpy(), pooling="sum")

    def predict(self, words: list[str]) -> torch.Tensor:
        """Vectors predicted from the n-grams of each word, known or not: [len(words), dim] on the CPU."""
        rows = [self.features.tokenizer.indices(word) for word in words]
        weight = self.bag.weight.detach().cpu()
        return torch.stack([weight[row].sum(dim=0) for row in rows])

    def batch_loss(self, batch: WordVectorBatch) -> torch.Tensor:
        """The mean squared error over the batch's vectors, a scalar."""
        self.note_rows(batch.ngrams)
        return squared_error_of_sums(self.bag.weight, batch.ngrams, batch.vectors, self.sparse)

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        """Logs the loss, and `val/cosine`: the mean cosine of held-out words' predicted vectors with their true ones.

        A word without a known n-gram has a zero vector, and cosine 0.
        """
        super().validation_step(batch, batch_idx)
        if isinstance(batch, RankingBatch):
            return
        cosines = cosine_similarity(self._predictions(batch), batch.vectors)
        self.log("val/cosine", cosines.mean(), batch_size=batch.size)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_save_checkpoint(checkpoint)
        checkpoint[CHECKPOINT_KEY] = {"files": None, "table": "bag.weight", "row_weights": None}

    def _predictions(self, batch: WordVectorBatch) -> torch.Tensor:
        """The predicted vectors of a batch's words, [b, dim]."""
        return embedding_bag_sum(self.bag.weight, batch.ngrams, self.sparse)
