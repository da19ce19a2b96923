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
from askagain.text.features import Features
from askagain.text.ngrams import NgramTokenizer
from askagain.text.preprocessor import TextPreprocessor
from askagain.training.data.batches import RankingBatch, WordVectorBatch
from askagain.training.modules.base import RetrievalModule
from askagain.vectors.word_vectors import WordVectors


class TrigramRegressor(RetrievalModule):
    """Predicts a word's vector as the sum of its letter n-grams' vectors, by the mean squared error over known words.

    `init_std`: standard deviation of the n-gram vectors' first values. `optimizer`, `scheduler`: see `RetrievalModule`.
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
        # The known words' rows stay as they are; the n-grams' rows are brought up to date when the encoder is wanted.
        self._table = torch.empty(self.features.size, vectors.dim)
        self._table[: len(vectors)] = torch.from_numpy(np.asarray(vectors.table))

    @property
    def encoder(self) -> BagEncoder:
        """The sum over a text's words of known words' own vectors and unknown words' predicted ones.

        Its cosines are those of the mean: they do not see the length of a vector. Its table is brought up to date when
        this property is read again.
        """
        self._table[-len(self.bag.weight) :] = self.bag.weight.detach().cpu()
        return BagEncoder(self.preprocessor, self.features, self._table, pooling="sum")

    def predict(self, words: list[str]) -> torch.Tensor:
        """Vectors predicted from the n-grams of each word, known or not: [len(words), dim] on the CPU."""
        rows = [self.features.tokenizer.indices(word) for word in words]
        weight = self.bag.weight.detach().cpu()
        return torch.stack([weight[row].sum(dim=0) for row in rows])

    def loss(self, batch: WordVectorBatch) -> torch.Tensor:
        """The mean squared error over the batch's vectors, a scalar."""
        return _MeanSquaredError.apply(self.bag_sum(self.bag.weight, batch.ngrams), batch.vectors)

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        """Logs, beside the loss, `val/cosine`: that of held-out words' predicted vectors to their true ones, the mean.

        A word without a known n-gram has a zero vector, and cosine 0.
        """
        super().validation_step(batch, batch_idx)
        if isinstance(batch, RankingBatch):
            return
        predicted = self.bag_sum(self.bag.weight, batch.ngrams)
        self.log("val/cosine", cosine_similarity(predicted, batch.vectors).mean(), batch_size=batch.size)


class _MeanSquaredError(torch.autograd.Function):
    """`mse_loss` that uses up what is predicted: the differences take its place, and the gradient takes theirs."""

    @staticmethod
    def forward(ctx: Any, predicted: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
        difference = predicted.sub_(wanted)
        ctx.save_for_backward(difference)
        return torch.dot(difference.view(-1), difference.view(-1)) / difference.numel()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, of_loss: torch.Tensor) -> tuple[torch.Tensor, None]:
        (difference,) = ctx.saved_tensors
        return difference.mul_(of_loss * 2 / difference.numel()), None
