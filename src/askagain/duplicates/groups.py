"""Makes groups of pairs of duplicates, and chooses the text of each that is kept.

A group is a kept text and those that are duplicates of it. Joining pairs through others would chain texts that have
nothing to do with each other: at a cosine of 0.63, 36,110 of 42,816 AskUbuntu titles became one group.
"""

from typing import NamedTuple

import numpy as np

from askagain.duplicates.similar_pairs import SimilarPairs


class Group(NamedTuple):
    """Rows that duplicate one of them.

    `kept`: the one with the most duplicates when the group was made, the first of several. `members`: its duplicates
    that are in no earlier group, in order. `scores`: the cosine of each with it.
    """

    kept: int
    members: list[int]
    scores: list[float]


def make_groups(pairs: SimilarPairs) -> list[Group]:
    """Groups in the order of their first row; each row is in one at most.

    The row with the most duplicates keeps all rows that it pairs with, then the next one those that are left. Rows with
    equal vectors, of which only the first one is paired with others, go where that one goes.
    """
    copies, rest = _copies(pairs)
    ones = np.concatenate([rest.first, rest.second])
    others = np.concatenate([rest.second, rest.first])
    cosines = np.concatenate([rest.cosines, rest.cosines])
    order = np.lexsort((others, ones))
    ones, others, cosines = ones[order], others[order], cosines[order]
    size = 1 + max(int(pairs.first.max(initial=-1)), int(pairs.second.max(initial=-1)))
    rows_of = np.ones(size, dtype=np.int64)  # with the copies of each
    for row, own in copies.items():
        rows_of[row] += len(own)
    duplicates = np.bincount(ones, rows_of[others], minlength=size).astype(np.int64) + rows_of - 1
    starts = np.searchsorted(ones, np.arange(size + 1))
    rows = np.flatnonzero(duplicates)
    is_taken = np.zeros(size, dtype=bool)
    is_taken[[copy for own in copies.values() for copy in own]] = True
    groups = []
    for row in rows[np.lexsort((rows, -duplicates[rows]))].tolist():
        if is_taken[row]:
            continue
        part = slice(starts[row], starts[row + 1])
        is_free = ~is_taken[others[part]]
        members = dict.fromkeys(copies.get(row, []), 1.0)
        for other, cosine in zip(others[part][is_free].tolist(), cosines[part][is_free].tolist(), strict=True):
            members |= dict.fromkeys([other, *copies.get(other, [])], round(cosine, 4))
        if members:
            is_taken[[row, *members]] = True
            places = sorted(members)
            groups.append(Group(row, places, [members[place] for place in places]))
    return sorted(groups, key=lambda group: min(group.kept, group.members[0]))


def count_pairs(pairs: SimilarPairs) -> int:
    """How many pairs of rows there are, those between rows with equal vectors included."""
    copies, rest = _copies(pairs)
    size = 1 + max(int(pairs.first.max(initial=-1)), int(pairs.second.max(initial=-1)))
    rows_of = np.ones(size, dtype=np.int64)
    for row, own in copies.items():
        rows_of[row] += len(own)
    return int((rows_of[rest.first] * rows_of[rest.second]).sum() + (rows_of * (rows_of - 1) // 2).sum())


def _copies(pairs: SimilarPairs) -> tuple[dict[int, list[int]], SimilarPairs]:
    """The rows whose only pair is one of cosine 1 with an earlier row, by that row, and all other pairs."""
    size = 1 + max(int(pairs.first.max(initial=-1)), int(pairs.second.max(initial=-1)))
    mentions = np.bincount(pairs.first, minlength=size) + np.bincount(pairs.second, minlength=size)
    is_copy = (pairs.cosines == 1) & (mentions[pairs.second] == 1)
    copies: dict[int, list[int]] = {}
    for row, copy in zip(pairs.first[is_copy].tolist(), pairs.second[is_copy].tolist(), strict=True):
        copies.setdefault(row, []).append(copy)
    rest = ~is_copy
    return copies, SimilarPairs(pairs.first[rest], pairs.second[rest], pairs.cosines[rest], pairs.recall)
