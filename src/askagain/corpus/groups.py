"""Groups of duplicates that share a text are one group."""

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from askagain.text.bags import Bags


def joined_groups(rows: Bags, texts: int) -> np.ndarray:
    """The group number of each text, [texts] int32.

    `rows`: bags of text indices; the texts of a row are duplicates, and rows that share a text form one group. A text
    outside every row is a group of its own. Groups are numbered in the order of their first text.
    """
    filled = rows.lengths > 0
    firsts = np.repeat(rows.ids[rows.offsets[:-1][filled]], rows.lengths[filled])
    edges = coo_array((np.ones(len(rows.ids), dtype=np.int8), (firsts, rows.ids)), shape=(texts, texts))
    return connected_components(edges, directed=False)[1]
