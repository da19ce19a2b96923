import numpy as np
import pytest
from scipy.sparse import csr_array

from askagain.native import terms
from askagain.ranking.products import SparseScores, products

SEED = 6


def random_rows(rng: np.random.Generator, rows: int, terms: int, share: float) -> csr_array:
    """Rows of numbers that are rounded when they are added."""
    return csr_array(rng.standard_normal((rows, terms)) * (rng.random((rows, terms)) < share))


@pytest.mark.parametrize(("asked_terms", "row_terms"), [(40, 40), (40, 55), (55, 40)])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_scores_of_one_question_are_its_products_to_the_last_bit(asked_terms, row_terms, share, kernels):
    print(f"seed {SEED}")
    rng = np.random.default_rng(SEED)
    questions, candidates = random_rows(rng, 9, asked_terms, 0.5), random_rows(rng, 30, row_terms, share)
    scores = SparseScores(questions, candidates)
    for question in [*range(9), 0]:
        chosen = rng.integers(0, 30, rng.integers(0, 60))
        (expected,) = products(questions[[question]], candidates[chosen])
        own = scores(question, chosen)
        assert own.shape == expected.shape and np.array_equal(own, expected)


def test_rows_and_terms_that_are_not_there_are_refused_in_c(compiled):
    rows = random_rows(np.random.default_rng(SEED), 5, 8, 0.5)
    products_of = terms.row_products(rows, rows)
    for missing in (-1, 5):
        with pytest.raises(IndexError, match="a row that is not there"):
            products_of(0, np.array([0, missing]))
    narrow = csr_array((rows.data, rows.indices, rows.indptr), shape=(5, 8))
    narrow.indices[3] = 8
    with pytest.raises(IndexError, match="a term beyond the width of its row"):
        terms.row_products(rows, narrow)
