import numpy as np

from askagain.corpus.groups import joined_groups
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
