import numpy as np

from askagain.corpus.groups import joined_groups, joined_rows
from askagain.text.bags import Bags


def oracle(rows, texts):
    """Merges sets until no two share a text."""
    groups = [{text} for text in range(texts)]
    for row in rows:
        touched = [group for group in groups if group & set(row)]
        groups = [group for group in groups if not group & set(row)] + ([set().union(*touched)] if touched else [])
    groups.sort(key=min)
    return [next(number for number, group in enumerate(groups) if text in group) for text in range(texts)]


def test_rows_that_share_a_text_are_one_group_and_other_texts_stand_alone():
    assert joined_groups(Bags.from_lists([[0, 1], [4, 3], [1, 5], []]), 7).tolist() == [0, 0, 1, 2, 2, 0, 3]


def test_random_rows_against_merging_sets():
    seed = 7
    rng = np.random.default_rng(seed)
    for _ in range(50):
        texts = int(rng.integers(1, 20))
        rows = [rng.integers(0, texts, rng.integers(0, 4)).tolist() for _ in range(rng.integers(0, 8))]
        joined = joined_groups(Bags.from_lists(rows), texts)
        assert joined.dtype == np.int32 and joined.tolist() == oracle(rows, texts), (seed, rows)


def test_no_row_at_all():
    assert joined_groups(Bags.from_lists([]), 3).tolist() == [0, 1, 2]


def test_rows_that_share_nothing_are_groups_of_their_own():
    rows = Bags.from_lists([[0, 1], [], [2, 3, 4]])
    groups = joined_groups(rows, 5)
    assert groups.dtype == np.int32 and groups.tolist() == oracle([[0, 1], [], [2, 3, 4]], 5) == [0, 0, 1, 1, 1]


def test_joined_rows_have_each_text_of_a_group_once_in_the_order_of_first_mention():
    rows = Bags.from_lists([[0, 1], [2, 3], [1, 4, 1]])
    joined = joined_rows(rows, joined_groups(rows, 5))
    assert [joined.bag(row).tolist() for row in range(len(joined))] == [[0, 1, 4], [2, 3]]
    apart = Bags.from_lists([[0, 1, 0], [2, 3]])
    assert joined_rows(apart, joined_groups(apart, 4)) is apart
    by_chance = Bags.from_lists([[0, 1], [1, 2]])  # as many groups as rows, the fourth text being one
    joined = joined_rows(by_chance, joined_groups(by_chance, 4))
    assert [joined.bag(row).tolist() for row in range(len(joined))] == [[0, 1, 2], [3]]
