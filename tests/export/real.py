"""An encoder of real titles, untrained: its rows are random, weighted by how rare a feature is."""

from pathlib import Path

import numpy as np

from askagain.corpus.tsv import read_rows
from askagain.models.bag_encoder import BagEncoder
from askagain.text.features import Features, FeatureSettings
from askagain.text.preprocessor import TextPreprocessor
from askagain.text.stop_words import stop_words
from askagain.text.token_words import token_words

CHARACTERS = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"
TERMS = ["c", "r", "c++", "c#", ".net", "node.js"]


def encoder_of_titles(folder: Path) -> BagEncoder:
    """The words and trigrams of train.tsv."""
    texts = [text for rows in read_rows(folder / "train.tsv", 2) for text in rows.cells.to_list()]
    preprocessor = TextPreprocessor(CHARACTERS, 2, stop_words("english"), TERMS, split_unspaced=True, fold_marks=True)
    tokens = token_words(texts, np.ones(len(texts), dtype=np.int64), preprocessor)
    features = Features.from_words(tokens, FeatureSettings("words_trigrams", min_count=2))
    print("seed 0")
    table = np.random.default_rng(0).standard_normal((features.size, 64)).astype(np.float32)
    counts = np.bincount(features.text_lookup(tokens)(tokens.bags).ids, minlength=features.size)
    return BagEncoder(
        preprocessor, features, table / np.sqrt(1 + counts)[:, np.newaxis].astype(np.float32), normalize=True
    )
