from itertools import permutations

import numpy as np
import pytest

from askagain.errors import InputError
from askagain.ranking.figures import figures, hits_at_k, mean_reciprocal_rank
from askagain.ranking.ranks import Ranks


def ranks(above: list[int], tied: list[int]) -> Ranks:
    return Ranks(np.array(above), np.array(tied))


def places_over_all_orders(above: int, tied: int) -> list[int]:
    """The duplicate's place, from 0, in every order of the tied."""
    return [above + order.index(0) for order in permutations(range(tied + 1))]


@pytest.mark.parametrize("above", [0, 1, 4])
@pytest.mark.parametrize("tied", [0, 1, 3, 5])
@pytest.mark.parametrize("k", [1, 2, 5, 100])
def test_expected_figures_are_the_mean_over_all_orders_of_the_tied(above, tied, k):
    places = places_over_all_orders(above, tied)
    one = ranks([above], [tied])
    assert hits_at_k(one, k) == pytest.approx(np.mean([place < k for place in places]))
    assert mean_reciprocal_rank(one) == pytest.approx(np.mean([1 / (place + 1) for place in places]))


def test_optimistic_ties_favour_the_duplicate_and_pessimistic_ones_do_not():
    one = ranks([0], [4])
    assert hits_at_k(one, 1, "optimistic") == 1.0
    assert hits_at_k(one, 4, "pessimistic") == 0.0
    assert hits_at_k(one, 5, "pessimistic") == 1.0
    assert mean_reciprocal_rank(one, "optimistic") == 1.0
    assert mean_reciprocal_rank(one, "pessimistic") == pytest.approx(1 / 5)


def test_figures_are_means_over_rows_and_count_rows_with_a_tie():
    found = figures(ranks([0, 9, 99, 100], [0, 0, 1, 0]), ks=(1, 10, 100))
    assert found["hits@1"] == 0.25
    assert found["hits@10"] == 0.5
    assert found["hits@100"] == pytest.approx((1 + 1 + 0.5 + 0) / 4)
    assert found["ties"] == 0.25


def test_without_ties_the_three_choices_agree():
    one = ranks([0, 3, 17], [0, 0, 0])
    assert len({tuple(figures(one, (1, 5), ties).values()) for ties in ("expected", "optimistic", "pessimistic")}) == 1


def test_another_choice_and_a_k_below_one_are_refused():
    with pytest.raises(InputError, match="expected, optimistic, pessimistic"):
        hits_at_k(ranks([0], [0]), 1, "lucky")
    with pytest.raises(InputError, match="k must be 1 or more"):
        hits_at_k(ranks([0], [0]), 0)
