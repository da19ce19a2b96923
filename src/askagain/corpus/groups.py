"""Groups of duplicates that share a text are one group."""

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from askagain.text.bags import Bags, offsets_of


def joined_groups(rows: Bags, texts: int) -> np.ndarray:
    """The group number of each text, [texts] int32.

    `rows`: bags of text indices; the texts of a row are duplicates, and rows that share a text form one group. A text
    outside every row is a group of its own. Groups are numbered in the order of their first text.
    """
    if len(rows.ids) == texts and np.array_equal(rows.ids, np.arange(texts)):  # no row repeats or shares a text
        groups = np.repeat(np.cumsum(rows.lengths > 0) - 1, rows.lengths)
        return groups.astype(np.int32)
    filled = rows.lengths > 0
    firsts = np.repeat(rows.ids[rows.offsets[:-1][filled]], rows.lengths[filled])
    edges = coo_array((np.ones(len(rows.ids), dtype=np.int8), (firsts, rows.ids)), shape=(texts, texts))
    return connected_components(edges, directed=False)[1]


def joined_rows(rows: Bags, groups: np.ndarray) -> Bags:
    """One bag of texts for each group, in the order of their first mention; the rows themselves if none share a text.

    `groups`: what `joined_groups` gives for these rows.
    """
    firsts = rows.ids[rows.offsets[:-1][rows.lengths > 0]]
    if not len(firsts) or np.bincount(groups[firsts]).max() == 1:
        return rows
    count = int(groups.max()) + 1
    texts = np.argsort(groups, kind="stable").astype(rows.ids.dtype)
    return Bags(texts, offsets_of(np.bincount(groups, minlength=count)))


def largest_group(rows: Bags, groups: np.ndarray) -> tuple[int, int]:
    """How many rows the group with the most rows has, and the text that most of these have.

    `groups`: what `joined_groups` gives for these rows, none of which is empty.
    """
    of_row = groups[rows.ids[rows.offsets[:-1]]]
    largest = np.flatnonzero(of_row == np.bincount(of_row).argmax())
    return len(largest), int(np.bincount(rows.take(largest).ids).argmax())
