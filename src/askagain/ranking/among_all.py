"""Ranks duplicates among all texts of a corpus: what a user faces, without preselected candidates."""

from collections.abc import Callable

import numpy as np

from askagain.files.progress import counted_progress
from askagain.ranking.products import Vectors, products
from askagain.ranking.ranks import ROUNDING, Ranks, level_starts
from askagain.text.bags import Bags

TEXTS_PER_BLOCK = 1 << 13
DUPLICATES_PER_BLOCK = 1 << 10


def rank_among_all(
    count: int,
    questions: np.ndarray,
    duplicates: Bags,
    as_questions: Callable[[np.ndarray], Vectors],
    as_candidates: Callable[[np.ndarray], Vectors],
    texts_per_block: int = TEXTS_PER_BLOCK,
    duplicates_per_block: int = DUPLICATES_PER_BLOCK,
) -> Ranks:
    """Ranks every duplicate of every question among all texts but the question itself.

    Equal dense vectors tie exactly, whatever the rounding of the products; so do sparse rows of equal score.

    Args:
        count: texts of the corpus.
        questions: [questions] indices of texts.
        duplicates: one bag of indices of texts for each question, none empty.
        as_questions: gives the vectors of texts, by index, as questions.
        as_candidates: gives their vectors as candidates; only those of one block and of the duplicates are kept.
        texts_per_block: candidates that are scored together; bounds the memory.
        duplicates_per_block: duplicates that are ranked together; bounds the memory.
    """
    row = np.repeat(np.arange(len(questions)), duplicates.lengths)
    asked = as_questions(questions)
    distinct, number = np.unique(duplicates.ids, return_inverse=True)
    wanted = as_candidates(distinct)
    parts = [slice(start, start + duplicates_per_block) for start in range(0, len(row), duplicates_per_block)]
    own_scores = np.concatenate([_own_scores(asked, wanted, row[part], number[part]) for part in parts])
    keys = _keys(wanted)
    if keys is not None:  # equal vectors have equal scores
        pairs = np.stack([row.astype(np.uint64), keys[number]])
        _, first, same = np.unique(pairs, axis=1, return_index=True, return_inverse=True)
        own_scores = own_scores[first][same.ravel()]
    above, tied = _among_each_other(row, own_scores)
    for start in counted_progress(range(0, count, texts_per_block), count, texts_per_block, "ranking"):
        texts = np.arange(start, min(start + texts_per_block, count))
        block = as_candidates(texts)
        block_keys = _keys(block)
        for part in parts:
            asking = slice(row[part][0], row[part][-1] + 1)
            scores = products(asked[asking], block)  # [questions of this part, texts of the block]
            # A question is not its own candidate, and `_among_each_other` has compared its duplicates.
            _mask(scores, np.arange(len(scores)), questions[asking] - start)
            own = duplicates.slice(asking.start, asking.stop)
            _mask(scores, np.repeat(np.arange(len(own)), own.lengths), own.ids - start)
            leads = scores[row[part] - asking.start] - own_scores[part, np.newaxis]  # [duplicates, texts]
            if keys is not None and block_keys is not None:
                near = np.nonzero(np.abs(leads) < ROUNDING)
                equal = keys[number[part]][near[0]] == block_keys[near[1]]
                leads[near[0][equal], near[1][equal]] = 0
            above[part] += (leads > 0).sum(axis=1)
            tied[part] += (leads == 0).sum(axis=1)
    return Ranks(above, tied, row)


def _among_each_other(row: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each duplicate, how many others of its question score higher, and how many score the same."""
    order = np.lexsort((-scores, row))
    row, scores = row[order], scores[order]
    starts = level_starts(row, scores)
    sizes = np.diff(starts, append=len(row))
    above, tied = np.empty(len(row), dtype=np.int64), np.empty(len(row), dtype=np.int64)
    above[order] = np.repeat(starts - np.searchsorted(row, row[starts]), sizes)
    tied[order] = np.repeat(sizes - 1, sizes)
    return above, tied


def _mask(scores: np.ndarray, rows: np.ndarray, texts: np.ndarray) -> None:
    """Masks the scores at `rows` and `texts`; texts outside the block are ignored."""
    inside = (texts >= 0) & (texts < scores.shape[1])
    scores[rows[inside], texts[inside]] = -np.inf


def _own_scores(asked: Vectors, wanted: Vectors, row: np.ndarray, number: np.ndarray) -> np.ndarray:
    """The scores of duplicates with their questions, from the same kind of product as all other scores."""
    first = row[0]
    texts, place = np.unique(number, return_inverse=True)
    return products(asked[first : row[-1] + 1], wanted[texts])[row - first, place]


def _keys(vectors: Vectors) -> np.ndarray | None:
    """A 64-bit hash of each dense vector: equal exactly where vectors are, but for unlikely collisions.

    None for sparse rows, whose scores are exact.
    """
    if not isinstance(vectors, np.ndarray):
        return None
    factors = np.random.default_rng(0).integers(0, 2**63, size=vectors.shape[1], dtype=np.uint64) * 2 + 1
    keys = np.empty(len(vectors), dtype=np.uint64)
    for start in range(0, len(vectors), TEXTS_PER_BLOCK):
        block = slice(start, start + TEXTS_PER_BLOCK)
        bits = (vectors[block] + np.float32(0)).view(np.uint32)  # adding 0 turns -0.0 into 0.0
        keys[block] = (bits * factors).sum(axis=1, dtype=np.uint64)
    return keys
