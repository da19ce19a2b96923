"""Groups of duplicates that share a text are one group."""

import numpy as np

from askagain.text.bags import Bags, offsets_of

NONE = -1  # in place of a row, of texts that are in none


def joined_groups(rows: Bags, texts: int) -> np.ndarray:
    """The group number of each text, [texts] int32.

    `rows`: bags of text indices; the texts of a row are duplicates, and rows that share a text form one group. A text
    outside every row is a group of its own. Groups are numbered in the order of their first text.
    """
    if len(rows.ids) == texts and np.array_equal(rows.ids, np.arange(texts)):  # no row repeats or shares a text
        groups = np.repeat(np.cumsum(rows.lengths > 0) - 1, rows.lengths)
        return groups.astype(np.int32)
    row_of_mention = np.repeat(np.arange(len(rows), dtype=np.int32), rows.lengths)
    row_of_text = np.full(texts, NONE, dtype=np.int32)
    row_of_text[rows.ids] = row_of_mention  # one of those that have it: they become one group
    own_row = row_of_text[rows.ids]
    is_shared = own_row != row_of_mention
    root = _roots(own_row[is_shared], row_of_mention[is_shared], len(rows))
    in_row = row_of_text != NONE
    keys = np.empty(texts, dtype=np.int64)
    keys[in_row] = root[row_of_text[in_row]]
    keys[~in_row] = len(rows) + np.arange(texts - int(in_row.sum()))
    return _numbered_by_first(keys, len(rows) + texts)


def _roots(first_rows: np.ndarray, second_rows: np.ndarray, rows: int) -> np.ndarray:
    """The first row of the component of each row, [rows]; each of `first_rows` shares a text with its second row."""
    root = np.arange(rows, dtype=np.int32)
    if len(first_rows):
        from scipy.sparse import coo_array  # takes long to import, and in many files no rows share a text
        from scipy.sparse.csgraph import connected_components

        joined, ends = np.unique(np.concatenate([first_rows, second_rows]), return_inverse=True)
        ends = ends.reshape(2, -1)
        edges = coo_array(
            (np.ones(len(first_rows), dtype=np.int8), (ends[0], ends[1])), shape=(len(joined), len(joined))
        )
        _, components = connected_components(edges, directed=False)
        _, firsts = np.unique(components, return_index=True)
        root[joined] = joined[firsts[components]]
    return root


def _numbered_by_first(keys: np.ndarray, count: int) -> np.ndarray:
    """Numbers `count` possible keys, [n] from 0 on, in the order of their first places; [n] int32."""
    first = np.zeros(count, dtype=np.int32)
    first[keys[::-1]] = np.arange(len(keys) - 1, -1, -1, dtype=np.int32)
    first = first[keys]
    return (np.cumsum(first == np.arange(len(keys)), dtype=np.int32) - 1)[first]


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
