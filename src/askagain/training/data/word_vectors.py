"""The LightningDataModule of word vectors: letter n-grams of words, and the vectors to predict from them."""

from collections.abc import Sequence
from functools import cached_property
from itertools import islice
from typing import Any

import numpy as np
import torch

from askagain.corpus.corpus import Corpus
from askagain.errors import InputError
from askagain.text.bags import Bags
from askagain.text.ngrams import TRIGRAMS, NgramTokenizer
from askagain.training.data.batches import WordVectorCollator
from askagain.training.data.datamodule import BagDataModule
from askagain.vectors.word_vectors import WordVectors


class WordVectorsDataModule(BagDataModule):
    """Words with a pretrained vector, which is to be predicted from their letter n-grams; words are held out.

    Args:
        corpus: the texts.
        vectors: the pretrained vectors.
        words: which of their words to learn from. `top`: the `limit` most frequent plain ones (ASCII letters only);
            `evaluation`: those in the validation ranking set; `all`.
        limit: bound on `top`, None for none.
        max_trigrams, ngram_sizes, ngram_buckets: see `FeatureSettings`.
        validation_fraction, batch_size, seed: see `BagDataModule`; a batch is of words.
    """

    examples_are = "words"

    def __init__(
        self,
        corpus: Corpus,
        vectors: WordVectors,
        words: str = "top",
        limit: int | None = 50_000,
        max_trigrams: int | None = None,
        ngram_sizes: Sequence[int] = TRIGRAMS,
        ngram_buckets: int | None = None,
        validation_fraction: float = 0.05,
        batch_size: int = 512,
        seed: int = 0,
    ) -> None:
        super().__init__(corpus, validation_fraction, batch_size, seed)
        self.vectors = vectors if corpus.preprocessor.clean else vectors.in_both_spellings()
        self.words = words
        self.limit = limit
        self.max_trigrams = max_trigrams
        self.ngram_sizes = ngram_sizes
        self.ngram_buckets = ngram_buckets

    @cached_property
    def rows(self) -> np.ndarray:
        """The rows of the words to learn from; raises InputError if there are none."""
        if self.words == "top":
            # Vectors list the most frequent words first.
            rows = np.flatnonzero([word.isascii() and word.isalpha() for word in self.vectors.words])[: self.limit]
        elif self.words == "evaluation":
            rows = self.vectors.rows(self.ranking("validation").words(self.corpus.preprocessor).words)
            rows = np.sort(rows[rows >= 0])
        else:
            rows = np.arange(len(self.vectors))
        if not len(rows):
            raise InputError(f"words={self.words}: {self.vectors.name} has no such word to learn from")
        return rows

    @cached_property
    def tokenizer(self) -> NgramTokenizer:
        return NgramTokenizer.from_words(
            [self.vectors.words[row] for row in self.rows], self.max_trigrams, self.ngram_sizes, self.ngram_buckets
        )

    @cached_property
    def ngrams(self) -> Bags:
        """One bag of n-gram indices for each of `rows`."""
        return Bags.from_lists([self.tokenizer.indices(self.vectors.words[row]) for row in self.rows])

    def model_inputs(self) -> dict[str, Any]:
        return {"preprocessor": self.corpus.preprocessor, "vectors": self.vectors, "tokenizer": self.tokenizer}

    def frequent_unknown_words(self, count: int) -> list[str]:
        """The `count` unknown words with a known n-gram that occur most often in the validation ranking set."""
        texts = self.ranking("validation").words(self.corpus.preprocessor)
        unknown = self.vectors.rows(texts.words) < 0
        order = np.argsort(-texts.counts, kind="stable")
        words = (texts.words[word] for word in order if unknown[word])
        return list(islice((word for word in words if self.tokenizer.indices(word)), count))

    def counts(self) -> dict[str, float]:
        ranking = self.ranking("validation")
        words = ranking.words(self.corpus.preprocessor).words
        unknown = [word for word, row in zip(words, self.vectors.rows(words), strict=True) if row < 0]
        with_ngrams = sum(bool(self.tokenizer.indices(word)) for word in unknown)  # these get a predicted vector
        return {
            "words_learned_from": len(self.split[0]),
            "held_out_words": len(self.split[1]),
            "known_ngrams": self.tokenizer.vocab_size,
            **self.corpus.ranking_counts(self.vectors.vocabulary),
            "skipped_rows": ranking.skipped,
            "known": len(words) - len(unknown),
            "unknown": len(unknown),
            "unknown_with_known_ngrams": with_ngrams,
            "unknown_without": len(unknown) - with_ngrams,
        }

    def description(self) -> str:
        return f"{self.vectors.name} and {self.ranking('validation').path}"

    def source_count(self) -> int:
        return len(self.rows)

    def draw(self, sources: np.ndarray, epoch: int) -> tuple[np.ndarray]:
        return (sources,)

    def collator(self, training: bool) -> WordVectorCollator:
        return WordVectorCollator(self.ngrams, self._targets)

    @cached_property
    def _targets(self) -> torch.Tensor:
        """The vectors of the words, in the order of `rows`, [words, dim]."""
        return torch.from_numpy(np.ascontiguousarray(self.vectors.table[self.rows]))
