"""A small encoder, and questions that it knows the words of."""

import numpy as np
import pytest

from askagain.models.bag_encoder import BagEncoder
from askagain.search.questions import Question
from askagain.text.features import Features
from askagain.text.ngrams import NgramTokenizer
from askagain.text.preprocessor import TextPreprocessor
from askagain.text.vocabulary import WordVocabulary

WORDS = ["quit", "leave", "exit", "vim", "nano", "undo", "commit", "merge", "branch", "mount", "disk", "usb", "list"]
DIM = 12


def small_encoder(seed: int = 0) -> BagEncoder:
    """Random vectors of words."""
    table = np.random.default_rng(seed).standard_normal((len(WORDS), DIM)).astype(np.float32)
    features = Features("words", WordVocabulary(WORDS), NgramTokenizer())
    return BagEncoder(TextPreprocessor(stopwords=["the", "how", "to"]), features, table, normalize=True)


def some_questions(count: int, seed: int = 0) -> list[Question]:
    """Questions of one to four words, some of them the same, whose ids are not their places."""
    random = np.random.default_rng(seed)
    texts = [" the ".join(random.choice(WORDS, random.integers(1, 5)).tolist()) for _ in range(count)]
    return [Question(f"q{seed}-{place}", text, text) for place, text in enumerate(texts)]


@pytest.fixture
def encoder() -> BagEncoder:
    return small_encoder()
