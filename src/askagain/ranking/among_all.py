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
    if keys is not None:  # equal vectors have equal scores
        pairs = np.stack([row.astype(np.uint64), keys[number]])
        _, first, same = np.unique(pairs, axis=1, return_index=True, return_inverse=True)
        own_scores = own_scores[first][same.ravel()]
    above, tied = _among_each_other(row, own_scores)
    for start in range(0, count, TEXTS_A_BLOCK):
        texts = np.arange(start, min(start + TEXTS_A_BLOCK, count))
        block = as_candidates(texts)
        block_keys = _keys(block)
        for part in parts:
            asking = slice(row[part][0], row[part][-1] + 1)
            scores = products(asked[asking], block)  # [questions of this part, texts of the block]
            # A question is no candidate of its own, and its duplicates are compared above.
            _leave_out(scores, np.arange(len(scores)), questions[asking] - start)
            own = duplicates.slice(asking.start, asking.stop)
            _leave_out(scores, np.repeat(np.arange(len(own)), own.lengths), own.ids - start)
            leads = scores[row[part] - asking.start] - own_scores[part, np.newaxis]  # [duplicates, texts]
            if keys is not None and block_keys is not None:
                near = np.nonzero(np.abs(leads) < ROUNDING)
                equal = keys[number[part]][near[0]] == block_keys[near[1]]
                leads[near[0][equal], near[1][equal]] = 0
            above[part] += (leads > 0).sum(axis=1)
            tied[part] += (leads == 0).sum(axis=1)
    return Ranks(above, tied, row)


def _among_each_other(row: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How many duplicates of the same question score higher than each, and how many the same."""
    order = np.lexsort((-scores, row))
    row, scores = row[order], scores[order]
    begins = np.ones(len(row), dtype=bool)  # another row or a lower score begins
    begins[1:] = (row[1:] != row[:-1]) | (scores[1:] != scores[:-1])
    starts = np.flatnonzero(begins)
    sizes = np.diff(starts, append=len(row))
    above, tied = np.empty(len(row), dtype=np.int64), np.empty(len(row), dtype=np.int64)
    above[order] = np.repeat(starts - np.searchsorted(row, row[starts]), sizes)
    tied[order] = np.repeat(sizes - 1, sizes)
    return above, tied


def _leave_out(scores: np.ndarray, rows: np.ndarray, texts: np.ndarray) -> None:
    """Takes out the scores of texts that are no candidates; those outside of the block do not count."""
    inside = (texts >= 0) & (texts < scores.shape[1])
    scores[rows[inside], texts[inside]] = -np.inf


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
    keys = np.empty(len(vectors), dtype=np.uint64)
    for start in range(0, len(vectors), TEXTS_A_BLOCK):
        some = slice(start, start + TEXTS_A_BLOCK)
        bits = (vectors[some] + np.float32(0)).view(np.uint32)  # so that -0.0 is 0.0
        keys[some] = (bits * factors).sum(axis=1, dtype=np.uint64)
    return keys
