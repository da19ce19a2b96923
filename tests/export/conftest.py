"""A small encoder of each kind, and texts that none of them finds easy."""

from collections.abc import Callable

import numpy as np
import pytest

from askagain.models.bag_encoder import BagEncoder
from askagain.text.bags import Bags
from askagain.text.features import Features
from askagain.text.ngrams import NgramTokenizer
from askagain.text.preprocessor import TextPreprocessor
from askagain.text.vocabulary import WordVocabulary
from askagain.text.word_pairs import WordPairs

WORDS = ["mount", "disk", "usb", "drive", "install", "driver", "update", "kernel", "c++", "wifi", "grub", "boot", "r"]
SEED = 3
ODD = [
    "How to mount a disk?",
    "Mount, the USB-drive!",
    "",
    "   ",
    "the a",
    "unheard words: mounting disks",
    "C++ and r and c",
    "wi\xadfi driver\twifi\n\nGRUB",
    "\ufb01le \u0130stanbul \U0001f600 \u4f60\u597d",
    "x",
    "kernel" * 10,
]
LONG = ["disk usb " * 400, "kernel" * 300]  # libraries have bounds of their own; float32 rounds such sums

Make = Callable[..., BagEncoder]


@pytest.fixture
def make() -> Make:
    """Makes an encoder of a kind."""
    return make_encoder


def make_encoder(
    kind: str = "words_trigrams", pooling: str = "sum", normalize: bool = True, **settings: object
) -> BagEncoder:
    """An encoder with a table of random numbers."""
    tokenizer = NgramTokenizer.from_words(WORDS) if "trigrams" in kind else NgramTokenizer()
    pairs = WordPairs.from_texts([Bags.from_lists([[0, 1], [2, 3], [4, 5]])]) if "pairs" in kind else None
    words = [] if kind == "trigrams" else WORDS
    features = Features(kind, WordVocabulary(words), tokenizer, pairs)
    table = np.random.default_rng(SEED).standard_normal((features.size, 24)).astype(np.float32)
    usual = {"characters": "?!,-:+.", "min_word_length": 2, "stopwords": ["the", "to", "how"]}
    preprocessor = TextPreprocessor(**usual | {"protected_terms": ["c++", "r", "c"]} | settings)
    return BagEncoder(preprocessor, features, table, pooling, normalize)


def titles(count: int, words: list[str] = WORDS) -> list[str]:
    """Texts of known words, with stop words and marks among them."""
    rng = np.random.default_rng(SEED)
    return [" the ".join(rng.choice(words, size=rng.integers(1, 7)).tolist()) + "?" for _ in range(count)]
