"""Figures that mean nothing are told with them."""

import numpy as np

from askagain.corpus.cache import Cache
from askagain.corpus.token_store import TokenStore
from askagain.evaluation.evaluate import evaluate_ranking
from askagain.models.mean_of_vectors import mean_of_vectors
from askagain.text.preprocessor import TextPreprocessor
from askagain.vectors.word_vectors import WordVectors


def test_an_encoder_that_knows_no_word_of_a_ranking_set_is_told(tmp_path, caplog):
    path = tmp_path / "validation.tsv"
    path.write_text("quit vim\texit vim\tlist ports\n")
    store = TokenStore(path, 3, "error", Cache(tmp_path / "cache"))
    for words, told in ((["Vim", "ports"], False), (["Vims"], True)):
        encoder = mean_of_vectors(TextPreprocessor(), WordVectors(words, np.ones((len(words), 2), np.float32), "some"))
        caplog.clear()
        evaluate_ranking(encoder, store, [1], "expected")
        assert ("validation.tsv: the encoder knows no word of it" in caplog.text) == told
