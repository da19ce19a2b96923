"""What a training set and a ranking set share, and what stands in a row twice: both change what metrics mean."""

from collections import defaultdict
from typing import NamedTuple

import numpy as np

from askagain.corpus.hash_index import is_among
from askagain.corpus.token_store import TokenStore
from askagain.text.bags import Bags

MOST_TEXTS = 12  # in the middle row, of groups
FEW_TEXTS = 4  # that every group of a set may have
UNIFORM = 0.9  # the share of rows with the same number of texts: someone has chosen it


class Overlap(NamedTuple):
    """What is in a ranking set that should not be.

    `leaked`: the rows, counted from 0, whose question and duplicate are in one group of the training set, but for case,
    white space and the marks at their end. `sources`: two texts of that group for each of them, [leaked, 2] indices.
    `repeated`: the rows whose question or duplicate stands among their other candidates, or which rank a question for
    itself. `shared_texts`: distinct texts that are in the training set as well, candidates included.
    """

    leaked: np.ndarray
    sources: np.ndarray
    repeated: np.ndarray
    shared_texts: int


def overlap(train: TokenStore, groups: np.ndarray, ranking: TokenStore) -> Overlap:
    """Compares texts by their hashes; `groups` is the group of each text of `train`, see `joined_groups`."""
    starts = ranking.rows.offsets[:-1]
    asked = ranking.rows.ids[np.stack([starts, starts + 1], axis=1)]  # [rows, 2]
    texts, places = np.unique(asked, return_inverse=True)
    keys = ranking.alike_hashes[texts]
    trained: defaultdict[int, dict[int, int]] = defaultdict(dict)  # by hash and by group: a text of `train`
    for text in np.flatnonzero(is_among(train.alike_hashes, keys)).tolist():
        trained[int(train.alike_hashes[text])].setdefault(int(groups[text]), text)
    leaked, sources = [], []
    for row, (question, duplicate) in enumerate(keys[places].reshape(-1, 2).tolist()):
        one, other = trained.get(question, {}), trained.get(duplicate, {})
        group = next((group for group in one if group in other), None)
        if group is not None:
            leaked.append(row)
            sources.append((one[group], other[group]))
    return Overlap(
        np.array(leaked, dtype=np.int64),
        np.array(sources, dtype=np.int64).reshape(-1, 2),
        repeated_candidates(ranking.rows),
        int(is_among(train.hashes, ranking.hashes).sum()),  # of distinct texts on either side
    )


def repeated_candidates(rows: Bags) -> np.ndarray:
    """The rows whose question or duplicate is among their further texts, or whose question is its own duplicate."""
    starts, lengths = rows.offsets[:-1], rows.lengths
    question, duplicate = rows.ids[starts], rows.ids[starts + 1]
    again = (rows.ids == np.repeat(question, lengths)) | (rows.ids == np.repeat(duplicate, lengths))
    again[starts] = again[starts + 1] = False
    again[starts] = question == duplicate
    return np.flatnonzero(np.add.reduceat(again, starts))


def resembling_groups(ranking: TokenStore, most_rows: int = 200) -> int | None:
    """A row, counted from 0, of a ranking set whose rows look like groups of duplicates; None for another set.

    In a ranking set the duplicate shares more words with the question than the other candidates do, unless these were
    mined because they share some. So rows that are longer than groups are, or all of a length, are not looked at.
    """
    rows = ranking.rows
    usual = int(np.median(rows.lengths))
    if usual > MOST_TEXTS or (usual > FEW_TEXTS and np.mean(rows.lengths == usual) >= UNIFORM):
        return None
    alike = []
    for row in range(min(len(rows), most_rows)):
        question, *candidates = (set(ranking.texts[text].lower().split()) for text in rows.bag(row).tolist())
        alike.append([len(question & words) / max(1, len(question | words)) for words in candidates])
    of_duplicates = np.mean([shares[0] for shares in alike])
    of_others = np.mean([share for shares in alike for share in shares[1:]])
    if not of_others or of_others < of_duplicates / 2:
        return None
    return int(np.argmax([np.mean(shares[1:]) for shares in alike]))
