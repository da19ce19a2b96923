"""Rung 1: a text is the mean of the pretrained vectors of its known words."""

from askagain.models.bag_encoder import BagEncoder
from askagain.text.features import Features
from askagain.text.ngrams import NgramTokenizer
from askagain.text.preprocessor import TextPreprocessor
from askagain.vectors.word_vectors import WordVectors


def mean_of_vectors(preprocessor: TextPreprocessor, vectors: WordVectors) -> BagEncoder:
    """The encoder that averages the vectors of known words; zero where no word is known."""
    if not preprocessor.clean:
        vectors = vectors.in_both_spellings()
    features = Features("words", vectors.vocabulary, NgramTokenizer())
    return BagEncoder(preprocessor, features, vectors.table.copy(), pooling="mean")
