from itertools import combinations

import numpy as np
import pytest

from askagain.corpus.pairs import pairs_of_groups
from askagain.text.bags import Bags

SIZES = (2, 3, 1, 7, 2, 40)
GROUPS = Bags.from_lists([list(range(sum(SIZES[:i]), sum(SIZES[: i + 1]))) for i in range(len(SIZES))])
ALL = np.arange(len(SIZES))


def pairs_by_group(strategy, bound=None, seed=0, epoch=0, groups=GROUPS):
    pairs, group = pairs_of_groups(groups, np.arange(len(groups)), strategy, bound, seed, epoch)
    return [[tuple(pair) for pair in pairs[group == i].tolist()] for i in range(len(groups))]


STRATEGIES = ("first_two", "star", "all", "random")


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("bound", [None, 3])
def test_both_questions_of_a_pair_are_different_members_of_its_group(strategy, bound):
    for members, pairs in zip(map(GROUPS.bag, range(len(GROUPS))), pairs_by_group(strategy, bound), strict=True):
        assert all(first != second and {first, second} <= set(members.tolist()) for first, second in pairs)
        assert len(set(pairs)) == len(pairs)
        assert bound is None or len(pairs) <= bound


def test_first_two_gives_one_pair_a_group():
    assert pairs_by_group("first_two") == [[(0, 1)], [(2, 3)], [], [(6, 7)], [(13, 14)], [(15, 16)]]


def test_star_pairs_the_first_with_each_other():
    assert pairs_by_group("star")[3] == [(6, i) for i in range(7, 13)]
    assert pairs_by_group("star", 2)[3] == [(6, 7), (6, 8)]


def test_all_pairs_each_with_each_other():
    for members, pairs in zip(map(GROUPS.bag, range(len(GROUPS))), pairs_by_group("all"), strict=True):
        assert set(pairs) == set(combinations(members.tolist(), 2))


def test_a_bounded_sample_of_all_pairs_is_spread_over_the_group_and_fixed_by_the_seed():
    pairs = pairs_by_group("all", 100, seed=1)[5]
    assert len(pairs) == 100
    assert len({text for pair in pairs for text in pair}) > 35
    assert pairs == pairs_by_group("all", 100, seed=1)[5]
    assert pairs != pairs_by_group("all", 100, seed=2)[5]


def test_a_group_of_591_gives_all_its_pairs_or_as_many_as_the_bound():
    large = Bags.from_lists([list(range(591))])
    assert len(pairs_by_group("all", None, groups=large)[0]) == 174_345
    assert len(pairs_by_group("all", 1000, groups=large)[0]) == 1000


def test_random_pairs_use_every_member_and_differ_between_epochs_but_not_between_runs():
    first, again, next_epoch = (pairs_by_group("random", seed=4, epoch=epoch) for epoch in (0, 0, 1))
    assert first == again
    assert first != next_epoch
    for members, pairs in zip(map(GROUPS.bag, range(len(GROUPS))), first, strict=True):
        assert len(pairs) == len(members) - 1
        assert not pairs or {text for pair in pairs for text in pair} == set(members.tolist())


def test_random_pairs_are_bounded_and_then_reach_other_members_every_epoch():
    reached = {text for epoch in range(30) for pair in pairs_by_group("random", 3, epoch=epoch)[5] for text in pair}
    assert len(reached) > 35


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_text_twice_in_its_group_counts_once(strategy):
    groups = Bags.from_lists([[5, 5, 3], [4, 4], [9, 8, 9]])
    assert [sorted(map(sorted, pairs)) for pairs in pairs_by_group(strategy, groups=groups)] == [[[3, 5]], [], [[8, 9]]]


def test_pairs_are_small_whole_numbers_one_row_a_pair():
    pairs, group = pairs_of_groups(GROUPS, ALL, "star", None, 0)
    assert pairs.dtype == group.dtype == np.int32 and pairs.shape == (len(group), 2)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_pairs_are_those_of_the_groups_asked_for_however_many_are_worked_on_at_a_time(strategy):
    asked = np.array([3, 0, 5])
    whole = pairs_of_groups(GROUPS, asked, strategy, 30, 7)
    assert set(whole[1].tolist()) == set(asked.tolist())
    assert all(
        GROUPS.offsets[g] <= text < GROUPS.offsets[g + 1] for pair, g in zip(*whole, strict=True) for text in pair
    )
    blocks = pairs_of_groups(GROUPS, asked, strategy, 30, 7, groups_per_block=2)
    for found, wanted in zip(blocks, whole, strict=True):
        assert found.tolist() == wanted.tolist()
        assert found.dtype == np.int32
