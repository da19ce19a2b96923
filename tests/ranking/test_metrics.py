from itertools import permutations

import ir_measures
import numpy as np
import pytest

from askagain.errors import InputError
from askagain.ranking.metrics import (
    compute_metrics,
    hits_at_k,
    mean_reciprocal_rank,
    per_query_metrics,
    reciprocal_rank,
)
from askagain.ranking.ranks import Ranks

SEED = 5


def ranks(above: list[int], tied: list[int]) -> Ranks:
    return Ranks(np.array(above), np.array(tied))


def ranks_of(scores: list[np.ndarray], duplicates: list[np.ndarray]) -> Ranks:
    """Ranks where a row may have several duplicates: of candidates with these scores, those at these places."""
    found = [
        ((own > own[place]).sum(), (own == own[place]).sum() - 1, row)
        for row, (own, places) in enumerate(zip(scores, duplicates, strict=True))
        for place in places
    ]
    return Ranks(*np.array(found).T)


def metrics_of_order(relevant: list[bool], k: int) -> dict[str, float]:
    """The definitions, for one row in one order: which candidates are duplicates, best first."""
    places = np.flatnonzero(relevant) + 1  # ranks of the duplicates
    ideal = sum(1 / np.log2(1 + rank) for rank in range(1, min(k, len(places)) + 1))
    return {
        f"hits@{k}": float(places[0] <= k),
        f"ndcg@{k}": sum(1 / np.log2(1 + rank) for rank in places if rank <= k) / ideal,
        "mrr": 1 / places[0],
        "map": float(np.mean([(i + 1) / rank for i, rank in enumerate(places)])),
        "mean_rank": float(places[0]),
    }


def mean_over_all_orders(scores: np.ndarray, duplicates: np.ndarray, k: int) -> dict[str, float]:
    """Every order of the candidates that agrees with the scores, each as often as any other."""
    orders = [order for order in permutations(range(len(scores))) if (np.diff(scores[list(order)]) <= 0).all()]
    found = [metrics_of_order([place in duplicates for place in order], k) for order in orders]
    return {name: np.mean([one[name] for one in found]) for name in found[0]}


@pytest.mark.parametrize("above", [0, 1, 4])
@pytest.mark.parametrize("tied", [0, 1, 3, 5])
@pytest.mark.parametrize("k", [1, 2, 5, 100])
def test_expected_metrics_are_the_mean_over_all_orders_of_the_tied(above, tied, k):
    places = [above + order.index(0) for order in permutations(range(tied + 1))]
    found = compute_metrics(ranks([above], [tied]), [k])
    assert found[f"hits@{k}"] == pytest.approx(np.mean([place < k for place in places]))
    assert found["mrr"] == pytest.approx(np.mean([1 / (place + 1) for place in places]))
    assert found["mean_rank"] == pytest.approx(np.mean(places) + 1)
    discounts = [1 / np.log2(2 + place) if place < k else 0 for place in places]
    assert found[f"dcg@{k}"] == pytest.approx(np.mean(discounts))


def test_with_several_duplicates_expected_metrics_are_the_mean_over_all_orders_of_the_tied():
    print(f"seed {SEED}")
    rng = np.random.default_rng(SEED)
    for _ in range(40):
        scores = rng.integers(0, 3, size=6)
        duplicates = rng.choice(6, size=rng.integers(1, 5), replace=False)
        k = int(rng.integers(1, 7))
        found = compute_metrics(ranks_of([scores], [duplicates]), [k])
        assert {name: found[name] for name in found if name not in ("ties", "median_rank")} == pytest.approx(
            mean_over_all_orders(scores, duplicates, k)
        )


@pytest.mark.parametrize(("ties", "lift"), [("optimistic", 0.5), ("pessimistic", -0.5)])
def test_favoured_duplicates_count_as_if_they_scored_higher_and_disfavoured_ones_lower(ties, lift):
    print(f"seed {SEED}")
    rng = np.random.default_rng(SEED)
    scores = [rng.integers(0, 5, size=30).astype(float) for _ in range(50)]
    duplicates = [rng.choice(30, size=rng.integers(1, 9), replace=False) for _ in scores]
    moved = [own.copy() for own in scores]
    for own, places in zip(moved, duplicates, strict=True):
        own[places] += lift
    settled = per_query_metrics(ranks_of(scores, duplicates), [1, 5, 20], ties)
    expected = per_query_metrics(ranks_of(moved, duplicates), [1, 5, 20], ties)
    for name, values in settled.items():
        assert values == pytest.approx(expected[name]), name


def test_optimistic_ties_favour_the_duplicate_and_pessimistic_ones_do_not():
    one = ranks([0], [4])
    assert compute_metrics(one, [1], "optimistic")["hits@1"] == 1.0
    found = compute_metrics(one, [4, 5], "pessimistic")
    assert (found["hits@4"], found["hits@5"]) == (0.0, 1.0)
    assert compute_metrics(one, [1], "optimistic")["mrr"] == 1.0
    assert found["mrr"] == pytest.approx(1 / 5)
    assert found["mean_rank"] == 5


def test_metrics_are_means_over_rows_and_count_rows_with_a_tie():
    found = compute_metrics(ranks([0, 9, 99, 100], [0, 0, 1, 0]), ks=(1, 10, 100))
    assert found["hits@1"] == 0.25
    assert found["hits@10"] == 0.5
    assert found["hits@100"] == pytest.approx((1 + 1 + 0.5 + 0) / 4)
    assert found["mean_rank"] == pytest.approx((1 + 10 + 100.5 + 101) / 4)
    assert found["median_rank"] == pytest.approx((10 + 100.5) / 2)
    assert found["ties"] == 0.25


def test_duplicates_that_tie_with_each_other_only_are_no_tie():
    scores = [np.array([3, 3, 2, 1]), np.array([3, 3, 3, 1]), np.array([3, 2, 2, 1])]
    assert compute_metrics(ranks_of(scores, [np.array([0, 1])] * 3), [1])["ties"] == pytest.approx(1 / 3)


def test_without_ties_the_three_choices_agree():
    one = ranks([0, 3, 17], [0, 0, 0])
    assert (
        len({tuple(compute_metrics(one, (1, 5), ties).values()) for ties in ("expected", "optimistic", "pessimistic")})
        == 1
    )


@pytest.mark.parametrize("most", [1, 6])
def test_metrics_agree_with_those_of_ir_measures_on_random_rankings(most):
    print(f"seed {SEED}")
    rng = np.random.default_rng(SEED)
    scores = [rng.permutation(60) for _ in range(40)]
    duplicates = [rng.choice(60, size=rng.integers(1, most + 1), replace=False) for _ in scores]
    truth = {str(row): {str(place): 1 for place in places} for row, places in enumerate(duplicates)}
    run = {str(row): {str(i): float(score) for i, score in enumerate(own)} for row, own in enumerate(scores)}
    names = {"mrr": "RR", "map": "AP", "hits@5": "Success@5", "ndcg@5": "nDCG@5", "ndcg@20": "nDCG@20"}
    measured = ir_measures.iter_calc(list(map(ir_measures.parse_measure, names.values())), truth, run)
    found = per_query_metrics(ranks_of(scores, duplicates), [5, 20])
    if most == 1:
        above = np.array([59 - own[place[0]] for own, place in zip(scores, duplicates, strict=True)])
        single = per_query_metrics(Ranks(above, np.zeros_like(above)), [5, 20])
        found = single | {"ndcg@5": single["dcg@5"], "ndcg@20": single["dcg@20"], "map": single["mrr"]}
    ours = {measure: found[name] for name, measure in names.items()}
    compared = [(ours[str(one.measure)][int(one.query_id)], one.value) for one in measured]
    assert len(compared) == 5 * 40
    assert [mine for mine, _ in compared] == pytest.approx([theirs for _, theirs in compared])


@pytest.mark.parametrize("ties", ["expected", "optimistic", "pessimistic"])
def test_single_metrics_are_those_of_all_at_once(ties):
    scores = np.random.default_rng(SEED).integers(0, 5, size=(20, 30))
    several = ranks_of(list(scores), [np.arange(3)] * 20)
    all_at_once, per_query = compute_metrics(several, [1, 5], ties), per_query_metrics(several, [1, 5], ties)
    assert hits_at_k(several, [1, 5], ties) == {name: all_at_once[name] for name in ("hits@1", "hits@5")}
    assert mean_reciprocal_rank(several, ties) == all_at_once["mrr"]
    assert reciprocal_rank(several, ties).tolist() == per_query["mrr"].tolist()


@pytest.mark.parametrize("ties", ["expected", "optimistic", "pessimistic"])
@pytest.mark.parametrize("most", [1, 3])
def test_a_k_beyond_all_candidates_gives_what_their_number_gives_and_takes_no_memory_for_the_rest(ties, most):
    scores = list(np.random.default_rng(SEED).integers(0, 5, size=(20, 30)))
    several = ranks_of(scores, [np.arange(most)] * 20)
    given = several if most > 1 else Ranks(several.above, several.tied)
    found = per_query_metrics(given, [30, 10**21], ties)
    for name in (name for name in found if name.endswith("@30")):
        assert found[name].tolist() == found[name.replace("30", str(10**21))].tolist()


def test_another_choice_and_a_k_below_one_are_refused():
    with pytest.raises(InputError, match="expected, optimistic, pessimistic"):
        compute_metrics(ranks([0], [0]), [1], "lucky")
    with pytest.raises(InputError, match="k must be 1 or more"):
        compute_metrics(ranks([0], [0]), [0])
