import numpy as np
import pytest

from askagain.duplicates import similar_pairs as module
from askagain.duplicates.groups import count_pairs, make_groups
from askagain.duplicates.similar_pairs import SimilarPairs, similar_pairs
from askagain.errors import InputError
from askagain.models.bag_encoder import unit_vectors

RANDOM = np.random.default_rng(0)
CENTRES = RANDOM.standard_normal((150, 20))
VECTORS = unit_vectors(CENTRES[RANDOM.integers(0, 150, 1200)] + 0.35 * RANDOM.standard_normal((1200, 20)))
VECTORS[30:40] = VECTORS[700:710]  # equal ones
VECTORS[50:53] = 0  # texts without a known word
FLOOR = 0.8


def by_loop(vectors, floor):
    cosines = np.round(vectors @ vectors.T, 6)
    first, second = np.nonzero(np.triu(cosines >= floor, 1))
    return set(zip(first.tolist(), second.tolist(), strict=True)), cosines


def with_equal(pairs, vectors):
    """All pairs, where one of several equal rows stands for the others."""
    same = {}
    for row, vector in enumerate(vectors):
        same.setdefault(vector.tobytes(), []).append(row)
    found = set()
    for one, other in zip(pairs.first.tolist(), pairs.second.tolist(), strict=True):
        for left in same[vectors[one].tobytes()]:
            for right in same[vectors[other].tobytes()]:
                if left != right:
                    found.add((min(left, right), max(left, right)))
    return found


def test_all_pairs_of_a_small_set_are_found(monkeypatch):
    monkeypatch.setattr(module, "ROWS_PER_BLOCK", 100)
    pairs = similar_pairs(VECTORS, FLOOR)
    expected, cosines = by_loop(VECTORS, FLOOR)
    assert pairs.recall == 1 and len(expected) > 1000
    assert with_equal(pairs, VECTORS) == expected
    np.testing.assert_allclose(pairs.cosines, cosines[pairs.first, pairs.second], atol=2e-6)
    assert (pairs.first < pairs.second).all() and not (set(range(50, 53)) & set(pairs.first.tolist()))


def test_a_large_set_is_compared_in_clusters_and_the_recall_is_what_it_says():
    pairs = similar_pairs(VECTORS, FLOOR, exact_up_to=100)
    expected, _ = by_loop(VECTORS, FLOOR)
    found = with_equal(pairs, VECTORS)
    assert found <= expected and len(found) / len(expected) > 0.97
    assert pairs.recall == pytest.approx(len(found) / len(expected), abs=0.02)
    keys = pairs.first.astype(np.int64) << 32 | pairs.second
    assert len(np.unique(keys)) == len(keys)


def test_a_higher_threshold_is_a_part_of_what_was_found():
    pairs = similar_pairs(VECTORS, FLOOR)
    fewer, directly = pairs.at_least(0.9), similar_pairs(VECTORS, 0.9)
    for name in ("first", "second", "cosines"):
        order = [np.lexsort((one.second, one.first)) for one in (fewer, directly)]
        assert np.array_equal(getattr(fewer, name)[order[0]], getattr(directly, name)[order[1]])


def test_pairs_across_two_sets_leave_those_within_them_out():
    split_at = 500
    pairs = similar_pairs(VECTORS, FLOOR, split_at)
    expected, cosines = by_loop(VECTORS, FLOOR)
    across = {(one, other) for one, other in expected if one < split_at <= other}
    assert {one for one, _ in across} == set(pairs.first.tolist())
    found = set(zip(pairs.first.tolist(), pairs.second.tolist(), strict=True))
    assert found <= across
    for row in set(pairs.first.tolist()):
        assert max(pairs.cosines[pairs.first == row]) == pytest.approx(cosines[row, split_at:].max(), abs=2e-6)


def test_more_pairs_than_can_be_kept_are_refused(monkeypatch):
    monkeypatch.setattr(module, "MOST_PAIRS", 100)
    with pytest.raises(InputError, match=r"more than 100 pairs have a cosine of 0\.8 or more; choose a higher"):
        similar_pairs(VECTORS, FLOOR)


def test_no_vectors_and_nothing_in_common():
    assert not len(similar_pairs(VECTORS[:0], FLOOR).first)
    assert not len(similar_pairs(np.eye(5, dtype=np.float32), FLOOR).first)
    assert not len(similar_pairs(np.eye(5, dtype=np.float32), FLOOR, 2).first)


def pairs_of(*pairs):
    first, second, cosines = zip(*pairs, strict=True)
    return SimilarPairs(np.array(first, np.int32), np.array(second, np.int32), np.array(cosines, np.float32), 1.0)


def test_members_of_a_group_are_all_duplicates_of_the_kept_text_and_chains_are_cut():
    chain = pairs_of((0, 1, 0.9), (1, 2, 0.91), (2, 3, 0.92), (3, 4, 0.93), (7, 9, 1.0))
    groups = make_groups(chain)
    assert [(group.kept, group.members) for group in groups] == [(1, [0, 2]), (3, [4]), (7, [9])]
    assert groups[0].scores == [0.9, 0.91]


def test_groups_of_many_pairs_hold_what_the_kept_text_pairs_with_and_no_text_twice():
    pairs = similar_pairs(VECTORS, FLOOR)
    groups = make_groups(pairs)
    cosines = np.round(VECTORS @ VECTORS.T, 6)
    rows = [row for group in groups for row in (group.kept, *group.members)]
    assert len(rows) == len(set(rows))
    for group in groups:
        assert (cosines[group.kept, group.members] >= FLOOR - 1e-6).all()
        np.testing.assert_allclose(group.scores, cosines[group.kept, group.members], atol=1e-4)
    assert make_groups(pairs.at_least(1.1)) == []


def test_equal_texts_go_where_the_first_of_them_goes_and_all_their_pairs_are_counted():
    vectors = unit_vectors(np.array([[1, 0.3], [1, 0], [1, 0], [0, 1], [1, -0.3], [1, 0.3], [0, 1]]))
    pairs = similar_pairs(vectors, 0.9)
    (first, second) = make_groups(pairs)
    assert {first.kept, *first.members} == {0, 1, 2, 4, 5} and {second.kept, *second.members} == {3, 6}
    cosines = vectors @ vectors.T
    np.testing.assert_allclose(first.scores, cosines[first.kept, first.members], atol=1e-4)
    assert count_pairs(pairs) == len(by_loop(vectors, 0.9)[0])
    whole = similar_pairs(VECTORS, FLOOR)
    assert count_pairs(whole) == len(by_loop(VECTORS, FLOOR)[0])
    found = {row for group in make_groups(whole) for row in (group.kept, *group.members)}
    for copy, original in zip(range(700, 710), range(30, 40), strict=True):
        assert copy in found and original in found


def test_cosines_are_rounded_from_float64_whatever_the_processor():
    vectors = np.random.default_rng(5).standard_normal((400, 40)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    found = similar_pairs(vectors, 0.2)
    exact = np.round((vectors.astype(np.float64) @ vectors.T.astype(np.float64)), 6).astype(np.float32)
    first, second = np.nonzero(np.triu(exact >= np.float32(0.2), k=1))
    assert len(first) > 5000
    assert np.array_equal(found.first, first) and np.array_equal(found.second, second)
    assert np.array_equal(found.cosines, exact[first, second])
