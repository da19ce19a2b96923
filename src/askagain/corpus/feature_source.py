"""What token stores and their unions share: features of their texts, counted and weighed once and then cached."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from askagain.corpus.cache import Cache
from askagain.errors import InputError
from askagain.files.arrays import load_array
from askagain.text.bags import Bags
from askagain.text.features import Features, FeatureSettings
from askagain.text.idf import inverse_document_frequencies
from askagain.text.preprocessor import TextPreprocessor
from askagain.text.token_words import TokenWords
from askagain.text.vocabulary import WordVocabulary

IDF = "idf.npy"


class FeatureSource(ABC):
    """Distinct texts whose features can be counted, looked up and weighed.

    `cache`: its entries depend on the texts. `name`: of their files, in messages.
    """

    def __init__(self, cache: Cache, name: str) -> None:
        self.cache = cache
        self.name = name

    @abstractmethod
    def words(self, preprocessor: TextPreprocessor) -> TokenWords:
        """The words of each distinct token."""

    @abstractmethod
    def numbered_texts(self, preprocessor: TextPreprocessor, vocabulary: WordVocabulary) -> Iterator[Bags]:
        """Blocks of texts, each a bag of word indices in `vocabulary` in the order of the text."""

    @abstractmethod
    def features(self, preprocessor: TextPreprocessor, features: Features) -> Bags:
        """One bag of sorted feature ids for each distinct text."""

    @abstractmethod
    def _feature_blocks(self, preprocessor: TextPreprocessor, features: Features) -> Iterator[Bags]:
        """The bags of `features`, block by block."""

    def count_features(self, preprocessor: TextPreprocessor, settings: FeatureSettings) -> Features:
        """Counts the features of the texts; raises InputError where none is left to train."""

        def build(folder: Path) -> None:
            words = self.words(preprocessor)
            if not words.words:
                raise InputError(
                    f"{self.name}: no text has a word left to train on; try preprocessor.stopwords=none or "
                    f"preprocessor.min_word_length=1 (now {preprocessor.min_word_length})"
                )
            Features.from_words(words, settings, partial(self.numbered_texts, preprocessor)).save(folder)

        key = {"preprocessor": preprocessor.fingerprint, **settings.as_key()}
        features = self.cache.entry("vocabulary", key, build, lambda folder: Features.load(folder, settings.kind))
        if not features.size:
            raise InputError(
                f"{self.name}: no word occurs {settings.min_count:,} times, so there is nothing to train; lower "
                "features.min_count"
            )
        return features

    def idf(self, preprocessor: TextPreprocessor, features: Features) -> np.ndarray:
        """The weight of each feature, [features.size] float32, counted over the distinct texts."""

        def build(folder: Path) -> None:
            blocks = self._feature_blocks(preprocessor, features)
            weights = inverse_document_frequencies(blocks, features.size)
            if preprocessor.fields is not None:
                weights *= features.field_weights(preprocessor.fields)
            np.save(folder / IDF, weights, allow_pickle=False)

        def load(folder: Path) -> np.ndarray:
            weights = load_array(folder / IDF)
            if weights.shape != (features.size,):
                raise ValueError("weights and features do not match")
            return weights

        return self.cache.entry("idf", features_key(preprocessor, features), build, load)


def features_key(preprocessor: TextPreprocessor, features: Features) -> dict[str, object]:
    """What the feature ids of texts depend on, for cache keys."""
    return {"preprocessor": preprocessor.fingerprint, "features": features.fingerprint}
