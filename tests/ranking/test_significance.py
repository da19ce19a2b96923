from itertools import product

import numpy as np
import pytest

from askagain.ranking import significance
from askagain.ranking.significance import compare, interval_of_moments, intervals, with_intervals

SEED = 3


@pytest.fixture(params=[0, 10**9], ids=["equal values together", "each query alone"])
def many(request, monkeypatch):
    monkeypatch.setattr(significance, "MANY_QUERIES", request.param)


def test_intervals_hold_the_true_mean_as_often_as_they_say(many):
    print(f"seed {SEED}")
    rng = np.random.default_rng(SEED)
    held = 0
    for trial in range(400):
        low, high = intervals({"hits@1": rng.random(200) < 0.3}, 0.9, resamples=200, seed=trial)["hits@1"]
        held += low <= 0.3 <= high
    assert 0.86 < held / 400 < 0.94


def test_an_interval_is_as_wide_as_the_standard_error_says_and_wider_with_more_confidence(many):
    print(f"seed {SEED}")
    values = np.random.default_rng(SEED).standard_normal(1000).round(1)
    error = values.std() / 1000**0.5
    low, high = intervals({"mrr": values}, 0.95, 4000, SEED)["mrr"]
    assert low == pytest.approx(values.mean() - 1.96 * error, abs=0.15 * error)
    assert high == pytest.approx(values.mean() + 1.96 * error, abs=0.15 * error)
    wider = intervals({"mrr": values}, 0.99, 4000, SEED)["mrr"]
    assert wider[0] < low and high < wider[1]


def test_intervals_are_those_of_their_seed_and_do_not_depend_on_the_block_size(many):
    values = {"mrr": np.random.default_rng(SEED).random(50), "hits@1": np.arange(50) % 2}
    found = intervals(values, 0.95, 300, SEED)
    assert intervals(values, 0.95, 300, SEED + 1) != found
    for name, ends in intervals(values, 0.95, 300, SEED, draws_per_block=1).items():
        assert ends == pytest.approx(found[name], abs=1e-12)


def test_metrics_with_an_interval_are_followed_by_its_ends():
    found = with_intervals({"mrr": 0.5, "ties": 0.1}, {"mrr": (0.4, 0.6)})
    assert list(found.items()) == [("mrr", 0.5), ("mrr_low", 0.4), ("mrr_high", 0.6), ("ties", 0.1)]


@pytest.mark.parametrize("rows", [4, 9])
def test_with_few_rows_p_is_that_of_all_ways_to_swap_the_two(rows):
    print(f"seed {SEED}")
    rng = np.random.default_rng(SEED)
    first, second = 1 / rng.integers(1, 9, (2, rows))
    differences = first - second
    swapped = [abs(np.mean(differences * signs)) for signs in product((1, -1), repeat=rows)]
    share = np.mean([mean >= abs(differences.mean()) - 1e-12 for mean in swapped])
    assert compare(first, second, 1000, SEED).p == pytest.approx(share)


def test_wins_and_losses_are_counted_and_a_clear_difference_is_not_chance():
    print(f"seed {SEED}")
    rng = np.random.default_rng(SEED)
    second = rng.random(300)
    first = second + rng.choice([0.3, 0.3, 0.3, 0, -0.3], 300)
    found = compare(first, second, 999, SEED)
    assert (found.wins, found.losses) == ((first > second).sum(), (first < second).sum())
    assert found.wins + found.losses + found.ties == 300
    assert found.difference == pytest.approx((first - second).mean())
    assert found.p == pytest.approx(1 / 500)  # none of 999 random swaps, in either direction
    assert compare(second, second, 999, SEED).p == 1


@pytest.mark.parametrize(("queries", "shift", "resamples"), [(7, 0.1, 500), (40, 0.05, 20_000), (300, 0.02, 20_000)])
def test_p_is_that_of_scipys_permutation_test(queries, shift, resamples, monkeypatch):
    from scipy.stats import permutation_test

    print(f"seed {SEED}")
    rng = np.random.default_rng(SEED)
    first, second = 1 / rng.integers(1, 9, (2, queries))
    first += shift * (rng.random(queries) < 0.9)
    expected = permutation_test(
        (first, second),
        lambda one, other, axis: (one - other).mean(axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=resamples,
        rng=np.random.default_rng(SEED),
    ).pvalue
    for block in (significance.DRAWS_PER_BLOCK, 3 * queries):
        monkeypatch.setattr(significance, "DRAWS_PER_BLOCK", block)
        for one, other in ((first, second), (second, first)):
            found = compare(one, other, resamples, SEED).p
            assert found == pytest.approx(expected, abs=1e-9 if queries == 7 else 4 * (expected / resamples) ** 0.5)


def test_a_single_query_tells_nothing():
    found = compare(np.array([0.5]), np.array([0.25]), 1000, 0)
    assert (found.wins, found.losses, found.ties, found.difference, found.p) == (1, 0, 0, 0.25, 1.0)


@pytest.mark.parametrize(("mean", "count"), [(0.02, 50), (0.5, 30), (0.9, 200)])
def test_an_interval_of_moments_holds_the_true_mean_about_as_often_as_it_says(mean, count):
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(2000):
        values = rng.random(count) < mean
        low, high = interval_of_moments(values.mean(), values.mean(), count, confidence=0.95)
        held += low <= mean <= high
    assert 0.93 < held / 2000 < 0.995


def test_an_interval_of_moments_is_within_0_and_1_holds_the_mean_and_has_a_width():
    for values in (np.zeros(3), np.ones(3), np.array([0.5]), np.array([0.1, 1.0, 0.3])):
        low, high = interval_of_moments(values.mean(), (values**2).mean(), len(values), confidence=0.95)
        assert 0 <= low <= values.mean() <= high <= 1 and high - low > 0.1
    narrow = interval_of_moments(0.5, 0.25, 100, confidence=0.95)  # all values alike
    wide = interval_of_moments(0.5, 0.5, 100, confidence=0.95)
    assert narrow[1] - narrow[0] < (wide[1] - wide[0]) / 2
