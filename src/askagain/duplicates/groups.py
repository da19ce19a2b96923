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

    The row with the most pairs keeps all rows that it pairs with, then the next one those that are left.
    """
    ones = np.concatenate([pairs.first, pairs.second])
    others = np.concatenate([pairs.second, pairs.first])
    cosines = np.concatenate([pairs.cosines, pairs.cosines])
    order = np.lexsort((others, ones))
    others, cosines = others[order], cosines[order]
    rows, starts, degrees = np.unique(ones[order], return_index=True, return_counts=True)
    is_taken = np.zeros(int(rows.max(initial=-1)) + 1, dtype=bool)
    groups = []
    for place in np.lexsort((rows, -degrees)).tolist():
        row = int(rows[place])
        if is_taken[row]:
            continue
        own = slice(starts[place], starts[place] + degrees[place])
        is_free = ~is_taken[others[own]]
        members = others[own][is_free]
        if len(members):
            is_taken[row] = is_taken[members] = True
            groups.append(Group(row, members.tolist(), np.round(cosines[own][is_free].astype(float), 4).tolist()))
    return sorted(groups, key=lambda group: min(group.kept, group.members[0]))
