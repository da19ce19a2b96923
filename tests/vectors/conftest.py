"""A small set of word vectors, as gensim holds it."""

from typing import Any

import numpy as np
import pytest

WORDS = ["the", "naïve", "問題", "cat", "2020", "a_phrase"]


@pytest.fixture
def keyed_vectors() -> Any:
    """Six words x 5 with a fixed seed, as gensim's KeyedVectors."""
    from gensim.models import KeyedVectors

    vectors = KeyedVectors(5)
    vectors.add_vectors(WORDS, np.random.default_rng(3).standard_normal((len(WORDS), 5)).astype(np.float32))
    return vectors
