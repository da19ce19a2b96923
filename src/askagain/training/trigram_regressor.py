"""Rung 2: letter trigrams learn to predict the vectors of known words, which gives unknown words a vector."""

from collections.abc import Callable

import numpy as np
import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from askagain.models.bag_encoder import BagEncoder
from askagain.text.features import Features
from askagain.text.preprocessor import TextPreprocessor
from askagain.text.trigrams import TrigramTokenizer
from askagain.training.batches import WordVectorBatch
from askagain.training.rung import Rung
from askagain.vectors.word_vectors import WordVectors


class TrigramRegressor(Rung):
    """Predicts a word's vector as the sum of its trigrams' vectors, by the mean squared error over known words.

    `init_std`: standard deviation of the trigram vectors' first values. `optimizer`, `scheduler`: see `Rung`.
    """

    def __init__(
        self,
        preprocessor: TextPreprocessor,
        vectors: WordVectors,
        tokenizer: TrigramTokenizer,
        optimizer: Callable[..., Optimizer],
        scheduler: Callable[..., LambdaLR],
        init_std: float,
    ) -> None:
        super().__init__(Features("words_else_trigrams", vectors.vocabulary, tokenizer), optimizer, scheduler)
        self.preprocessor = preprocessor
        self.bag = nn.EmbeddingBag(tokenizer.vocab_size, vectors.dim, mode="sum", include_last_offset=True)
        nn.init.normal_(self.bag.weight, std=init_std)
        # The known words' rows stay as they are; the trigrams' rows are brought up to date when the encoder is wanted.
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
        """Vectors predicted from the trigrams of each word, known or not: [len(words), dim] on the CPU."""
        rows = [self.features.tokenizer.indices(word) for word in words]
        weight = self.bag.weight.detach().cpu()
        return torch.stack([weight[row].sum(dim=0) for row in rows])

    def loss(self, batch: WordVectorBatch) -> torch.Tensor:
        """The mean squared error over the batch's vectors, a scalar."""
        return nn.functional.mse_loss(self.bag_sum(self.bag.weight, batch.trigrams), batch.vectors)
