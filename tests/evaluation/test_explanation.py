import numpy as np
import pytest
import torch

from askagain.evaluation.explanation import score_parts
from askagain.models.bag_encoder import BagEncoder
from askagain.models.lexical import Bm25, TfIdf
from askagain.models.random_vectors import RandomVectors
from askagain.ranking.products import products
from askagain.text.features import Features
from askagain.text.ngrams import NgramTokenizer
from askagain.text.preprocessor import TextPreprocessor
from askagain.text.vocabulary import WordVocabulary
from askagain.text.word_pairs import WordPairs

SEED = 2
QUESTION, CANDIDATE = "boot the disk boot", "the disk is not booting boot"


@pytest.mark.parametrize("pooling", ["sum", "mean"])
def test_the_parts_of_an_encoders_score_add_up_to_the_cosine(pooling):
    print(f"seed {SEED}")
    words = ["boot", "disk", "the"]
    features = Features("words_trigrams", WordVocabulary(words), NgramTokenizer.from_words(["boot", "booting"]))
    table = torch.from_numpy(np.random.default_rng(SEED).standard_normal((features.size, 8)).astype(np.float32))
    encoder = BagEncoder(TextPreprocessor(), features, table, pooling)
    parts = score_parts(encoder, QUESTION, CANDIDATE)
    one, other = encoder.encode([QUESTION, CANDIDATE]).astype(float)
    assert sum(part.score for part in parts) == pytest.approx(one @ other / np.linalg.norm(one) / np.linalg.norm(other))
    assert [part.score for part in parts] == sorted((part.score for part in parts), reverse=True)
    assert {part.question_feature for part in parts} == {*words, "[#bo]", "[boo]", "[oot]", "[ot#]"}
    assert {part.candidate_feature for part in parts} > {*words, "[oti]", "[ng#]"}
    disk = next(part.score for part in parts if part.question_feature == part.candidate_feature == "disk")
    length = np.linalg.norm(one) * np.linalg.norm(other) * (sizes(encoder) if pooling == "mean" else 1)
    assert disk == pytest.approx(float(table[1] @ table[1]) / length, rel=1e-5)


def test_a_word_pair_carries_a_score_under_its_words():
    vocabulary = WordVocabulary(["hard", "disk"])
    features = Features("words_pairs", vocabulary, NgramTokenizer(), WordPairs(np.array([(0 << 32) | 1])))
    encoder = BagEncoder(TextPreprocessor(), features, torch.eye(3))
    parts = score_parts(encoder, "hard disk", "hard disk")
    found = {(part.question_feature, part.candidate_feature): part.score for part in parts}
    assert found["hard disk", "hard disk"] == pytest.approx(1 / 3) and found["hard", "hard disk"] == 0


def sizes(encoder: BagEncoder) -> int:
    """By which the product of two means is smaller than that of the sums."""
    return int(np.prod(encoder.tokenize([QUESTION, CANDIDATE]).lengths))


@pytest.mark.parametrize("ranker", [TfIdf(TextPreprocessor(), True), Bm25(TextPreprocessor(), 1.2, 0.75)])
def test_the_parts_of_a_lexical_score_are_the_shared_terms(ranker):
    ranker.fit(["boot the disk", "the end", "what is not"])
    parts = score_parts(ranker, QUESTION, CANDIDATE)
    assert {part.question_feature for part in parts} == {"boot", "the", "disk"}
    assert all(part.question_feature == part.candidate_feature for part in parts)
    ((score,),) = products(ranker.questions([QUESTION]), ranker.candidates([CANDIDATE]))
    assert sum(part.score for part in parts) == pytest.approx(score)


def test_where_nothing_is_known_there_are_no_parts():
    features = Features("words", WordVocabulary(["boot"]), NgramTokenizer())
    encoder = BagEncoder(TextPreprocessor(), features, torch.ones(1, 2))
    assert score_parts(encoder, "monad", "boot") == []
    assert score_parts(RandomVectors(0), "monad", "boot") is None
