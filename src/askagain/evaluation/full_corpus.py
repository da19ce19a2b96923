"""Ranking tasks in which every text of a corpus is a candidate."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from askagain.corpus.groups import joined_groups
from askagain.corpus.token_store import TokenStore
from askagain.text.bags import Bags, offsets_of


@dataclass(frozen=True, eq=False)
class FullRanking:
    """Questions, their duplicates, and all texts of a corpus as candidates.

    `texts`: the candidates, each once. `questions`: [questions] indices of texts. `duplicates`: one bag of indices of
    texts for each question.
    """

    texts: list[str]
    questions: np.ndarray
    duplicates: Bags


def full_ranking(candidates: Sequence[TokenStore], labelled: TokenStore, pairs: bool) -> FullRanking:
    """The questions of a labelled file, ranked among its texts and those of other files.

    Rows that share a text form one group, and a question's duplicates are all other members of its group. A question
    whose only duplicate is the very same text is left out. With `pairs`, `labelled` is a ranking set, whose rows begin
    with a question and its duplicate; else a file of groups, whose texts are all questions.
    """
    numbers = {text: number for number, text in enumerate(labelled.texts)}
    for store in candidates:
        for text in store.texts:
            numbers.setdefault(text, len(numbers))
    rows = labelled.rows
    lengths = np.full(len(rows), 2) if pairs else rows.lengths
    starts = offsets_of(lengths)[:-1]
    members = rows.ids[np.arange(lengths.sum()) + np.repeat(rows.offsets[:-1] - starts, lengths)]
    group = joined_groups(Bags(members, offsets_of(lengths)), len(labelled.texts))
    asked = np.array(list(dict.fromkeys((members[starts] if pairs else members).tolist())))
    asked = asked[np.bincount(group)[group[asked]] > 1]
    return FullRanking(list(numbers), asked, _other_members(group, asked))


def _other_members(group: np.ndarray, asked: np.ndarray) -> Bags:
    """For each text of `asked`, all others of its group; `group` is the group of each text."""
    groups = Bags(np.argsort(group, kind="stable"), offsets_of(np.bincount(group))).take(group[asked])
    others = groups.ids != np.repeat(asked, groups.lengths)
    return Bags(groups.ids[others], offsets_of(groups.lengths - 1))
