"""Where duplicates stand among all texts of a corpus: what a user faces, without a choice of candidates."""

from collections.abc import Callable

import numpy as np

from askagain.ranking.products import Vectors, products
from askagain.ranking.ranks import ROUNDING, Ranks
from askagain.text.bags import Bags

TEXTS_A_BLOCK = 1 << 13
DUPLICATES_A_BLOCK = 1 << 10


def rank_among_all(
    count: int,
    questions: np.ndarray,
    duplicates: Bags,
    as_questions: Callable[[np.ndarray], Vectors],
    as_candidates: Callable[[np.ndarray], Vectors],
) -> Ranks:
    """Ranks every duplicate of every question among all `count` texts but the question itself.

    `questions`: [questions] indices of texts. `duplicates`: a bag of indices of texts for each, none of them empty.
    `as_questions`, `as_candidates`: give the vectors of texts by index. Texts are taken block by block and their
    vectors dropped again; what is kept are those of questions and duplicates.
    Equal dense vectors tie exactly, whatever the rounding of the products; so do sparse rows of one score.
    """
    row = np.repeat(np.arange(len(questions)), duplicates.lengths)
    asked = as_questions(questions)
    distinct, number = np.unique(duplicates.ids, return_inverse=True)
    wanted = as_candidates(distinct)
    parts = [slice(start, start + DUPLICATES_A_BLOCK) for start in range(0, len(row), DUPLICATES_A_BLOCK)]
    own_scores = np.concatenate([_own_scores(asked, wanted, row[part], number[part]) for part in parts])
    keys = _keys(wanted)
    above, tied = np.zeros(len(row), dtype=np.int64), np.zeros(len(row), dtype=np.int64)
    for start in range(0, count, TEXTS_A_BLOCK):
        texts = np.arange(start, min(start + TEXTS_A_BLOCK, count))
        block = as_candidates(texts)
        block_keys = _keys(block)
        for part in parts:
            first, last = row[part][0], row[part][-1] + 1
            scores = products(asked[first:last], block)  # [questions of this part, texts of the block]
            leads = scores[row[part] - first] - own_scores[part, np.newaxis]  # over the duplicate, [duplicates, texts]
            if keys is not None and block_keys is not None:
                near = np.nonzero(np.abs(leads) < ROUNDING)
                equal = keys[number[part]][near[0]] == block_keys[near[1]]
                leads[near[0][equal], near[1][equal]] = 0
            for left_out in (questions[row[part]], duplicates.ids[part]):  # neither competes with the duplicate
                inside = np.flatnonzero((left_out >= start) & (left_out <= texts[-1]))
                leads[inside, left_out[inside] - start] = -np.inf
            above[part] += (leads > 0).sum(axis=1)
            tied[part] += (leads == 0).sum(axis=1)
    return Ranks(above, tied, row)


def _own_scores(asked: Vectors, wanted: Vectors, row: np.ndarray, number: np.ndarray) -> np.ndarray:
    """The scores of duplicates with their questions, computed as those of all other candidates are."""
    first = row[0]
    texts, place = np.unique(number, return_inverse=True)
    return products(asked[first : row[-1] + 1], wanted[texts])[row - first, place]


def _keys(vectors: Vectors) -> np.ndarray | None:
    """A number for each dense vector, the same for equal ones and another, as good as certainly, for all others.

    None for sparse rows, whose scores are exact.
    """
    if not isinstance(vectors, np.ndarray):
        return None
    factors = np.random.default_rng(0).integers(0, 2**63, size=vectors.shape[1], dtype=np.uint64) * 2 + 1
    bits = (vectors + np.float32(0)).view(np.uint32)  # so that -0.0 is 0.0
    return (bits * factors).sum(axis=1, dtype=np.uint64)
