import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfTransformer

from askagain.text.bags import Bags
from askagain.text.idf import inverse_document_frequencies

SEED = 5
SIZE = 30


def some_texts() -> Bags:
    print(f"seed {SEED}")
    rng = np.random.default_rng(SEED)
    lengths = rng.integers(0, 9, 200)
    lengths[[0, 50, 51, 199]] = 0  # empty texts at both ends, and next to each other
    return Bags.from_lists([np.sort(rng.integers(0, rng.integers(1, SIZE - 1), n)).tolist() for n in lengths])


def test_weights_are_those_of_scikit_learn_over_their_mean_over_all_occurrences():
    texts = some_texts()
    counts = np.stack([np.bincount(texts.bag(i), minlength=SIZE) for i in range(len(texts))])
    expected = TfidfTransformer(smooth_idf=True).fit(counts).idf_
    found = inverse_document_frequencies([texts], SIZE)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found / found[0], expected / expected[0], rtol=1e-6)
    assert np.average(found, weights=counts.sum(axis=0)) == pytest.approx(1, abs=1e-6)


def test_texts_may_come_some_at_a_time():
    texts = some_texts()
    parts = [texts.slice(start, min(start + 7, len(texts))) for start in range(0, len(texts), 7)]
    found = inverse_document_frequencies(parts, SIZE)
    assert np.array_equal(found, inverse_document_frequencies([texts], SIZE))


def test_where_no_text_has_a_feature_all_weigh_the_same():
    found = inverse_document_frequencies([Bags.from_lists([[], []])], 3)
    assert np.isfinite(found).all() and len(set(found.tolist())) == 1
