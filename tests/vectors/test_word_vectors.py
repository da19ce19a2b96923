"""Rows, nearest words and the questions asked of word vectors, against what plain numpy says."""

import numpy as np
import pytest

from askagain.errors import InputError
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


def test_nearest_is_by_cosine_and_not_by_length() -> None:
    found = COMPASS.nearest(np.array([0.1, 5.0]), 2)
    assert [word for word, _ in found] == ["north", "northeast"]
    assert found[0][1] == pytest.approx(5.0 / np.hypot(0.1, 5.0), abs=1e-6)


def test_excluded_words_make_room_for_the_next() -> None:
    found = COMPASS.nearest(np.array([0.0, 1.0]), 2, exclude={"north", "absent"})
    assert [word for word, _ in found] == ["northeast", "Upper"]


def test_more_than_all_words_gives_all_words_and_none_gives_none() -> None:
    assert len(COMPASS.nearest(np.array([1.0, 0.0]), 99)) == 6
    assert COMPASS.nearest(np.array([1.0, 0.0]), 0) == []


def test_a_zero_vector_and_a_zero_row_have_cosine_zero() -> None:
    assert {cosine for _, cosine in COMPASS.nearest(np.zeros(2), 6)} == {0.0}
    assert dict(COMPASS.nearest(np.array([1.0, 2.0]), 6))["nowhere"] == 0.0


def test_nearest_many_in_small_blocks_is_what_plain_numpy_ranks() -> None:
    vectors = random_vectors(300, 8, seed=5)
    queries = np.random.default_rng(6).standard_normal((10, 8)).astype(np.float32)
    found = vectors.nearest_many(queries, 7, similarities_per_block=1000)  # three queries at a time
    cosines = queries @ vectors.table.T
    cosines /= np.linalg.norm(queries, axis=1)[:, None] * np.linalg.norm(vectors.table, axis=1)
    for row, answers in zip(cosines, found, strict=True):
        expected = np.argsort(-row)[:7]
        assert [word for word, _ in answers] == [f"w{index}" for index in expected]
        np.testing.assert_allclose([cosine for _, cosine in answers], row[expected], atol=1e-5)


def test_questions_have_gensims_answers() -> None:
    from gensim.models import KeyedVectors

    ours = random_vectors(200, 12, seed=7)
    theirs = KeyedVectors(12)
    theirs.add_vectors(ours.words, ours.table)
    expected = theirs.most_similar(positive=["w1", "w2"], negative=["w3"], topn=5)
    found = ours.analogy(["w1", "w2"], ["w3"], 5)
    assert [word for word, _ in found] == [word for word, _ in expected]
    np.testing.assert_allclose([c for _, c in found], [c for _, c in expected], atol=1e-5)
    some = [f"w{row}" for row in range(10, 20)]
    assert ours.odd_one_out(some) == theirs.doesnt_match(some)
    assert ours.most_similar_among("w5", some) == theirs.most_similar_to_given("w5", some)


def test_an_unknown_word_in_a_question_is_named_with_what_to_do() -> None:
    with pytest.raises(InputError, match=r"compass does not know 'up', 'down': leave out"):
        COMPASS.analogy(["up", "north", "down"], ["east"], 3)
    with pytest.raises(InputError, match=r"'EAST' \(but 'east'\)"):
        COMPASS.most_similar_among("EAST", ["south"])


def test_a_question_with_too_few_words_is_refused() -> None:
    with pytest.raises(InputError, match="at least three"):
        COMPASS.odd_one_out(["north", "south"])
    with pytest.raises(InputError, match="at least one"):
        COMPASS.most_similar_among("north", [])
    with pytest.raises(InputError, match="at least one"):
        COMPASS.analogy([], [], 3)
