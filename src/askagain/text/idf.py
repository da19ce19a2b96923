"""Inverse document frequencies: the rarer a feature, the larger its weight."""

from collections.abc import Iterable

import numpy as np

from askagain.text.bags import Bags


def inverse_document_frequencies(texts: Iterable[Bags], size: int) -> np.ndarray:
    """The weight of each of `size` features, [size] float32: smoothed idf, scaled to a mean of 1 over occurrences.

    For n texts the idf is ln((1 + n) / (1 + texts with the feature)) + 1, as in scikit-learn's TfidfTransformer. Scaled
    so, weighted sums of rows are about as long as unweighted ones, and need no other initial values or learning rates.
    `texts`: blocks of texts, each a bag of sorted feature ids.
    """
    count, texts_with, occurrences = 0, np.zeros(size, dtype=np.int64), np.zeros(size, dtype=np.int64)
    for block in texts:
        count += len(block)
        occurrences += np.bincount(block.ids, minlength=size)
        texts_with += np.bincount(block.ids[_first_in_bag(block)], minlength=size)
    weights = np.log((1 + count) / (1 + texts_with)) + 1
    total = occurrences.sum()
    return (weights / ((weights @ occurrences) / total) if total else weights).astype(np.float32)


def _first_in_bag(bags: Bags) -> np.ndarray:
    """Whether each id differs from the one before it in its bag, [tokens] bool."""
    first = np.ones(len(bags.ids), dtype=bool)
    first[1:] = bags.ids[1:] != bags.ids[:-1]
    first[bags.offsets[:-1][bags.lengths > 0]] = True
    return first
