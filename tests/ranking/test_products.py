import numpy as np
import pytest
from scipy.sparse import csr_array

from askagain.ranking.products import SparseScores, products

SEED = 6


def random_rows(rng: np.random.Generator, rows: int, terms: int, share: float) -> csr_array:
    """Rows of numbers that are rounded when they are added."""
    return csr_array(rng.standard_normal((rows, terms)) * (rng.random((rows, terms)) < share))


@pytest.mark.parametrize(("asked_terms", "terms"), [(40, 40), (40, 55), (55, 40)])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_scores_of_one_question_are_its_products_to_the_last_bit(asked_terms, terms, share):
    print(f"seed {SEED}")
    rng = np.random.default_rng(SEED)
    questions, candidates = random_rows(rng, 9, asked_terms, 0.5), random_rows(rng, 30, terms, share)
    scores = SparseScores(questions, candidates)
    for question in [*range(9), 0]:
        chosen = rng.integers(0, 30, rng.integers(0, 60))
        (expected,) = products(questions[[question]], candidates[chosen])
        own = scores(question, chosen)
        assert own.shape == expected.shape and np.array_equal(own, expected)
