"""Rows of word vectors, and the questions that gensim answers with them."""

import numpy as np
import pytest

from askagain.vectors.word_vectors import WordVectors

COMPASS = WordVectors(
    ["north", "east", "south", "northeast", "nowhere", "Upper"],
    np.array([[0, 2], [1, 0], [0, -3], [1, 1], [0, 0], [2, 1]], dtype=np.float32),
    "compass",
)


def random_vectors(n_words: int, dim: int, seed: int) -> WordVectors:
    print(f"seed {seed}")
    table = np.random.default_rng(seed).standard_normal((n_words, dim)).astype(np.float32)
    return WordVectors([f"w{row}" for row in range(n_words)], table, "random")


def test_rows_are_in_the_order_asked_and_minus_one_where_unknown() -> None:
    rows = COMPASS.rows(["south", "up", "north", "south"])
    assert rows.dtype == np.int64
    assert rows.tolist() == [2, -1, 0, 2]
    assert COMPASS.rows([]).tolist() == []


def test_length_dimension_and_membership() -> None:
    assert (len(COMPASS), COMPASS.dim) == (6, 2)
    assert "east" in COMPASS
    assert "upper" not in COMPASS


def test_the_first_of_equal_words_has_the_row() -> None:
    vectors = WordVectors(["a", "b", "a"], np.zeros((3, 2), dtype=np.float32), "twice")
    assert vectors.rows(["a", "b"]).tolist() == [0, 1]


def test_words_that_do_not_fit_the_table_are_refused() -> None:
    with pytest.raises(ValueError, match="2 words"):
        WordVectors(["a", "b"], np.zeros((3, 2), dtype=np.float32), "short")


def test_nearest_words_are_those_that_plain_numpy_ranks_first() -> None:
    vectors = random_vectors(300, 8, seed=5)
    for query in np.random.default_rng(6).standard_normal((10, 8)).astype(np.float32):
        cosines = vectors.table @ query / (np.linalg.norm(query) * np.linalg.norm(vectors.table, axis=1))
        expected = np.argsort(-cosines)[:7]
        answers = vectors.keyed.similar_by_vector(query, 7)
        assert [word for word, _ in answers] == [f"w{row}" for row in expected]
        np.testing.assert_allclose([cosine for _, cosine in answers], cosines[expected], atol=1e-5)
    assert np.shares_memory(vectors.keyed.vectors, vectors.table)


def test_a_zero_row_has_cosine_zero() -> None:
    assert dict(COMPASS.keyed.similar_by_vector(np.array([1.0, 2.0], dtype=np.float32), 6))["nowhere"] == 0.0


def test_questions_have_the_answers_of_vectors_that_gensim_holds_itself() -> None:
    from gensim.models import KeyedVectors

    ours = random_vectors(200, 12, seed=7)
    theirs = KeyedVectors(12)
    theirs.add_vectors(ours.words, ours.table)
    question = {"positive": ["w1", "w2"], "negative": ["w3"], "topn": 5}
    expected, found = theirs.most_similar(**question), ours.keyed.most_similar(**question)
    assert [word for word, _ in found] == [word for word, _ in expected]
    np.testing.assert_allclose([c for _, c in found], [c for _, c in expected], atol=1e-5)
    some = [f"w{row}" for row in range(10, 20)]
    assert ours.keyed.doesnt_match(some) == theirs.doesnt_match(some)
