import numpy as np
import pytest

import askagain.ranking.ranks as ranks_module
from askagain.errors import InputError
from askagain.native import ranks as native
from askagain.ranking.ranks import rank_duplicates
from askagain.text.bags import Bags

SEED = 11


@pytest.fixture(autouse=True)
def with_kernels(kernels, monkeypatch):
    monkeypatch.setattr(native, "COMPILED_AT", 0)


def ranked(vectors: np.ndarray, rows: list[list[int]], **blocks: int):
    bags = Bags.from_lists(rows)
    return rank_duplicates(vectors.astype(np.float32), bags.ids, bags.offsets, **blocks)


def rounded_by_place(leads_of):
    """As a product that sums in another order at another place may do."""

    def leads(*arguments, **settings):
        exact = leads_of(*arguments, **settings)
        return exact if exact is None else exact + np.arange(exact.shape[1], dtype=np.float32) * 1e-8

    return leads


def test_above_and_tied_are_counted_against_the_duplicate():
    vectors = np.array([[1, 0], [1, 1], [2, 0.1], [0, 1], [2, 2], [-1, 0]])
    result = ranked(vectors, [[0, 1, 2, 3, 4, 5]])
    assert result.above.tolist() == [1]  # [2, 0.1]
    assert result.tied.tolist() == [1]  # [2, 2] points where the duplicate points


def test_rows_may_differ_in_length():
    vectors = np.array([[1, 0], [0, 1], [1, 0.1], [1, 0.2]])
    result = ranked(vectors, [[0, 1, 2], [0, 1, 2, 3], [0, 2, 1, 3, 1]])
    assert result.above.tolist() == [1, 2, 0]
    assert result.tied.tolist() == [0, 0, 0]


def test_a_zero_question_ties_with_everything():
    result = ranked(np.array([[0, 0], [1, 0], [0, 1], [-1, 0]]), [[0, 1, 2, 3]])
    assert (result.above.tolist(), result.tied.tolist()) == ([0], [2])


def test_a_zero_duplicate_is_at_similarity_zero():
    result = ranked(np.array([[1, 0], [0, 0], [1, 1], [-1, 0], [0, 1]]), [[0, 1, 2, 3, 4]])
    assert (result.above.tolist(), result.tied.tolist()) == ([1], [1])


@pytest.mark.parametrize("dim", [3, 37, 300])
def test_equal_vectors_tie_exactly_wherever_they_stand_and_whatever_the_products_round_to(dim, monkeypatch):
    print(f"seed {SEED}")
    rng = np.random.default_rng(SEED)
    vectors = rng.standard_normal((400, dim))
    vectors[200:] = vectors[1]  # every second half of the pool equals the duplicate
    for module, name in ((ranks_module, "_leads"), (native, "leads")):
        monkeypatch.setattr(module, name, rounded_by_place(getattr(module, name)))
    result = ranked(vectors, [[0, 1, *range(200, 400)]] * 3)
    assert result.tied.tolist() == [200] * 3
    assert result.above.tolist() == [0] * 3


def test_scores_that_differ_by_little_do_not_tie():
    near = np.array([[1, 0], [1, 1], [1, 1 - 1e-5], [1, 1 + 1e-5]])
    result = ranked(near, [[0, 1, 2, 3]])
    assert (result.above.tolist(), result.tied.tolist()) == ([1], [0])


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_vectors_that_are_not_finite_are_refused(value):
    with pytest.raises(InputError, match="not finite"):
        ranked(np.array([[1, 0], [value, 1], [1, 1]]), [[0, 1, 2]])


def test_ranks_agree_with_float64_counting_and_do_not_depend_on_the_block_size():
    print(f"seed {SEED}")
    rng = np.random.default_rng(SEED)
    vectors = rng.standard_normal((300, 16))
    rows = [rng.integers(0, 300, size).tolist() for size in rng.integers(3, 80, 50)]
    result = ranked(vectors, rows)
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    for row, above in zip(rows, result.above, strict=True):
        scores = units[row[1:]] @ units[row[0]]
        assert above == ((scores[1:] > scores[0] + 1e-12) & (np.array(row[2:]) != row[1])).sum()
    assert ranked(vectors, rows, rows_per_block=1).above.tolist() == result.above.tolist()


@pytest.mark.parametrize("scale", [1e-20, 1e15])
def test_the_length_of_vectors_does_not_matter(scale):
    vectors = np.array([[1, 0], [1, 1], [2, 0.1], [0, 1]])
    assert ranked(vectors * scale, [[0, 1, 2, 3]]).above.tolist() == [1]


@pytest.mark.parametrize("dim", [1, 5, 16, 37])
def test_leads_in_c_are_differences_of_cosines(dim, kernels):
    rng = np.random.default_rng(SEED)
    vectors = rng.standard_normal((500, dim)).astype(np.float32)
    rows = Bags.from_lists([rng.integers(0, 500, size).tolist() for size in (2, 3, 5, 6, 7, 9, 200, 2)])
    leads = native.leads(vectors, rows.ids, rows.offsets, 198, wait=True)
    assert (leads is None) == (kernels == "plain")
    if leads is None:
        return
    for row, lead in enumerate(leads):
        question, *others = vectors[rows.bag(row)].astype(np.float64)
        scores = np.array(others) @ question
        assert lead[: len(scores) - 1] == pytest.approx(scores[1:] - scores[0], abs=1e-4)
        assert np.isneginf(lead[len(scores) - 1 :]).all()
    for wrong in (-1, 500):
        ids = rows.ids.copy()
        ids[4] = wrong
        with pytest.raises(IndexError):
            native.leads(vectors, ids, rows.offsets, 198, wait=True)
    for offsets in ([0, 1], [0, 500], [-1, 5], [0, 202]):
        with pytest.raises(IndexError):
            native.leads(vectors, rows.ids, np.array(offsets), 198, wait=True)
