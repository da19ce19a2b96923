import numpy as np
import pytest

from askagain.errors import InputError
from askagain.models.bag_encoder import unit_vectors
from askagain.search.nearest import KINDS, WANTED_RECALL, NearestVectors, recall_of

COUNT, DIM = 4_000, 16
RANDOM = np.random.default_rng(0)
VECTORS = unit_vectors(RANDOM.standard_normal((COUNT, DIM)))
QUERIES = unit_vectors(VECTORS[:200] + 0.3 * RANDOM.standard_normal((200, DIM)))


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_finds_what_a_loop_finds(kind, tmp_path):
    built = NearestVectors.build(VECTORS, kind, flat_up_to=1000)
    assert (built.approximation is None) == (kind == "flat")
    built.save(tmp_path)
    nearest = NearestVectors.load(tmp_path, built.approximation)
    rows, scores = nearest.search(QUERIES, 10)
    exact = QUERIES @ VECTORS.T
    best = np.sort(exact, axis=1)[:, ::-1][:, :10]
    assert recall_of(scores, np.round(best, 6) - 1e-6) >= WANTED_RECALL
    np.testing.assert_allclose(scores, np.take_along_axis(exact, rows, axis=1), atol=1e-5)
    assert (np.diff(scores, axis=1) <= 0).all()
    one, _ = nearest.search(QUERIES[:1], 10)
    assert np.array_equal(one[0], rows[0])


@pytest.mark.parametrize("kind", ["flat", "pq", "ivf"])
def test_rows_that_are_left_out_are_not_found_even_if_they_are_the_nearest(kind):
    nearest = NearestVectors.build(VECTORS, kind)
    left_out = np.zeros(COUNT, dtype=bool)
    left_out[nearest.search(QUERIES[:20], 300)[0].ravel()] = True
    assert 1000 < left_out.sum() < COUNT - 100
    rows, scores = nearest.search(QUERIES[:20], 5, left_out)
    assert (rows >= 0).all() and not left_out[rows].any() and np.isfinite(scores).all()
    left_out[:] = True
    left_out[:3] = False
    rows, scores = nearest.search(QUERIES[:2], 5, left_out)
    assert rows.shape == (2, 3) and sorted(rows[0].tolist()) == [0, 1, 2]


def test_equal_vectors_have_equal_scores_and_stand_in_their_order():
    vectors = np.concatenate([VECTORS[:50], VECTORS[:50], VECTORS[:50]])
    nearest = NearestVectors.build(vectors)
    rows, scores = nearest.search(VECTORS[:50], 3)
    assert rows.tolist() == [[place, place + 50, place + 100] for place in range(50)]
    assert (scores == scores[:, :1]).all()


def test_hnsw_is_refused_where_many_vectors_are_equal_and_other_kinds_by_name():
    with pytest.raises(InputError, match="kind=hnsw: 50% of the vectors repeat another"):
        NearestVectors.build(np.concatenate([VECTORS, VECTORS]), "hnsw")
    with pytest.raises(InputError, match="kind=lsh: not one of auto, flat"):
        NearestVectors.build(VECTORS, "lsh")


def test_few_vectors_none_and_no_query():
    assert NearestVectors.build(VECTORS[:3], "pq").search(QUERIES[:1], 10)[0].shape == (1, 3)
    assert NearestVectors.build(VECTORS[:0]).search(QUERIES[:1], 10)[0].shape == (1, 0)
    assert NearestVectors.build(VECTORS).search(QUERIES[:0], 10)[0].shape[0] == 0


def test_an_approximation_that_misses_too_many_is_not_used(monkeypatch):
    monkeypatch.setattr("askagain.search.nearest.AIMED_RECALL", 1.1)
    assert NearestVectors.build(VECTORS, "pq").approximation is None
