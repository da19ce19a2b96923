import numpy as np
import pytest

from askagain.ranking.fusion import best_weight, fused, reciprocal_ranks, reranked, z_scores


def test_z_scores_have_mean_zero_and_deviation_one_and_equal_scores_are_zero():
    scores = np.array([1.0, 2, 3, 10])
    assert z_scores(scores).mean() == pytest.approx(0) and z_scores(scores).std() == pytest.approx(1)
    assert z_scores(np.ones(3)).tolist() == [0, 0, 0]
    assert z_scores(scores, 1.0, 2.0).tolist() == [0, 0.5, 1, 4.5]


def test_reciprocal_ranks_count_ties_as_the_mean_over_their_orders():
    assert reciprocal_ranks([np.array([0.5, 0.9, 0.1]), np.array([0.5, 0.5, 0.5])]).tolist() == pytest.approx(
        [1 / 2, (1 + 1 / 2 + 1 / 3) / 3]
    )


def test_the_weight_that_ranks_best_is_found_and_none_is_kept_where_the_second_ranker_is_noise():
    random = np.random.default_rng(0)
    first = [random.standard_normal(50) for _ in range(200)]
    right = [random.standard_normal(50) for _ in range(200)]
    for row in right:
        row[0] += 3
    weight, by_weight = best_weight(first, right)
    assert weight == max(by_weight) and by_weight[weight] > 2 * by_weight[0.0]
    noise = [random.standard_normal(50) for _ in range(200)]
    assert best_weight(right, noise)[0] <= 0.05
    assert by_weight[0.0] == pytest.approx(reciprocal_ranks([fused(one, one, 0.0) for one in first]).mean())


def test_candidates_that_a_model_has_seen_come_first_in_its_order():
    first = np.array([0.9, 0.8, 0.7, 0.2, 0.1])
    model = np.array([0.1, 0.9, 0.5, np.nan, np.nan])
    scores = reranked(first, model, kept=0.3)
    assert np.argsort(-scores).tolist() == [1, 2, 0, 3, 4]
    assert scores[1] == pytest.approx(0.9 + 0.3 * 0.8)
    low = reranked(first, np.array([-0.9, np.nan, -0.8, np.nan, np.nan]), kept=0.0)
    assert np.argsort(-low).tolist() == [2, 0, 1, 3, 4]
