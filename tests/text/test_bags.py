import numpy as np
import pytest

from askagain.text.bags import Bags

SEED = 7


@pytest.fixture
def lists() -> list[list[int]]:
    rng = np.random.default_rng(SEED)
    print(f"seed {SEED}")
    return [rng.integers(0, 50, size).tolist() for size in rng.integers(0, 6, 40)]


def as_lists(bags: Bags) -> list[list[int]]:
    return [bags.bag(i).tolist() for i in range(len(bags))]


def test_bags_hold_the_lists_they_were_made_from_empty_ones_too(lists):
    bags = Bags.from_lists(lists)
    assert as_lists(bags) == lists
    assert bags.lengths.tolist() == [len(ids) for ids in lists]


def test_taken_rows_come_in_the_order_asked_for_with_repeats(lists):
    rows = np.array([3, 3, 0, 39, 12])
    assert as_lists(Bags.from_lists(lists).take(rows)) == [lists[i] for i in rows]


def test_taking_no_rows_gives_no_bags(lists):
    assert len(Bags.from_lists(lists).take(np.array([], dtype=np.int64))) == 0


def test_expanding_replaces_each_id_by_its_bag(lists):
    rng = np.random.default_rng(SEED)
    expansion = [rng.integers(0, 9, size).tolist() for size in rng.integers(0, 4, 50)]
    expanded = Bags.from_lists(lists).expand(Bags.from_lists(expansion))
    assert as_lists(expanded) == [[feature for i in ids for feature in expansion[i]] for ids in lists]


@pytest.mark.parametrize("longest", [1, 2, 5, 70])
def test_sorting_within_bags_moves_nothing_between_them(longest):
    rng = np.random.default_rng(SEED)
    print(f"seed {SEED}")
    lists = [rng.integers(0, 50, size).tolist() for size in rng.integers(0, longest + 1, 200)]
    bags = Bags.from_lists(lists)
    assert as_lists(bags.sorted_within()) == [sorted(ids) for ids in lists]
    assert as_lists(bags) == lists  # not those that were given
    assert as_lists(bags.slice(50, 120).sorted_within()) == [sorted(ids) for ids in lists[50:120]]


def test_bags_side_by_side_are_bag_after_bag(lists):
    found = Bags.side_by_side([Bags.from_lists(some) for some in (lists, lists[::-1], [[]] * len(lists))])
    assert as_lists(found) == [one + other for one, other in zip(lists, lists[::-1], strict=True)]
