"""How much a feature of a text weighs: the rarer, the more."""

from collections.abc import Iterable

import numpy as np

from askagain.text.bags import Bags


def inverse_document_frequencies(texts: Iterable[Bags], size: int) -> np.ndarray:
    """The weight of each of `size` features, [size] float32: ln((1 + n) / (1 + texts with it)) + 1 for n texts, over
    its mean over all occurrences of features in the texts.

    So a text's features weigh 1 in the mean, and sums of weighted rows are about as long as without weights: first
    values and learning rates mean the same. `texts`: bags of feature ids in rising order, some texts at a time.
    Source: the smoothed idf of scikit-learn's TfidfTransformer.
    """
    count, texts_with, occurrences = 0, np.zeros(size, dtype=np.int64), np.zeros(size, dtype=np.int64)
    for some in texts:
        count += len(some)
        occurrences += np.bincount(some.ids, minlength=size)
        texts_with += np.bincount(some.ids[_first_in_bag(some)], minlength=size)
    weights = np.log((1 + count) / (1 + texts_with)) + 1
    total = occurrences.sum()
    return (weights / ((weights @ occurrences) / total) if total else weights).astype(np.float32)


def _first_in_bag(bags: Bags) -> np.ndarray:
    """Whether each id differs from the one before it in its bag, [tokens] bool."""
    first = np.ones(len(bags.ids), dtype=bool)
    first[1:] = bags.ids[1:] != bags.ids[:-1]
    first[bags.offsets[:-1][bags.lengths > 0]] = True
    return first
