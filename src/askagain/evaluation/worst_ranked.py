"""The questions whose duplicate is ranked worst, and what is ranked above it: where to look for what goes wrong."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from askagain.corpus.token_store import TokenStore
from askagain.evaluation.evaluate import Ranker, TextVectors, embed
from askagain.evaluation.full_corpus import FullRanking
from askagain.models.lexical import LexicalRanker
from askagain.ranking.among_all import TEXTS_A_BLOCK
from askagain.ranking.products import products, unit_vectors
from askagain.ranking.ranks import Ranks
from askagain.text.bags import Bags


class Candidate(NamedTuple):
    """A candidate's text and its score with the question: their cosine or, of BM25, what that gives."""

    text: str
    score: float


class WorstRanked(NamedTuple):
    """A row of a ranking set.

    `rank`: from 1 on, the mean over all orders of the `tied`. `above`: the best of the candidates that score above the
    duplicate, best first.
    """

    question: str
    duplicate: Candidate
    rank: float
    tied: int
    above: tuple[Candidate, ...]


def worst_ranked(
    ranker: Ranker, ranking: TokenStore | FullRanking, ranks: Ranks, rows: int, candidates: int
) -> list[WorstRanked]:
    """At most `rows` rows, worst first, each with at most `candidates` of those above the duplicate.

    `ranks`: those of all rows of `ranking` with this ranker. Rows whose duplicate is first, alone, are left out. Of
    several duplicates the one that is ranked first counts. Of a ranking set, only the texts of the rows that are given
    are embedded.
    """
    firsts = _first_duplicates(ranks)
    expected = ranks.expected[firsts]
    order = np.argsort(-expected, kind="stable")[:rows]
    worst = order[expected[order] > 1]
    if not len(worst):
        return []
    if isinstance(ranking, FullRanking):
        bags, scores = _best_among_all(ranker, ranking, firsts[worst], worst, candidates)
    else:
        bags = ranking.rows.take(worst)
        scores = _scores(ranker, ranking, bags)
    of_rows = np.split(scores, bags.offsets[1:-1])
    found = []
    for place, row in enumerate(firsts[worst]):
        texts = [ranking.texts[i] for i in bags.bag(place)]
        question, duplicate, *negatives = map(Candidate, texts, of_rows[place].tolist())
        best_first = sorted(negatives, key=lambda negative: -negative.score)
        above = tuple(best_first[: min(candidates, ranks.above[row])])
        rank, tied = float(ranks.expected[row]), int(ranks.tied[row])
        found.append(WorstRanked(question.text, duplicate, rank, tied, above))
    return found


def _first_duplicates(ranks: Ranks) -> np.ndarray:
    """For each row, the place in `ranks` of the duplicate that is ranked first; [rows]."""
    if ranks.row is None:
        return np.arange(len(ranks.above))
    order = np.lexsort((ranks.expected, ranks.row))
    return order[np.unique(ranks.row[order], return_index=True)[1]]


def _best_among_all(
    ranker: Ranker, ranking: FullRanking, duplicates: np.ndarray, rows: np.ndarray, candidates: int
) -> tuple[Bags, np.ndarray]:
    """Rows as those of a ranking set, with the `candidates` best texts in the place of listed ones; and their scores.

    `duplicates`: the place in `ranking.duplicates.ids` of each row's duplicate. Other duplicates are left out.
    """
    vectors = TextVectors(ranker, ranking.texts)
    questions, wanted = ranking.questions[rows], ranking.duplicates.ids[duplicates]
    asked = vectors.of_questions(questions)
    best = np.empty((len(rows), 0), dtype=np.int64)  # texts
    scores = np.empty((len(rows), 0))
    for start in range(0, len(ranking.texts), TEXTS_A_BLOCK):
        texts = np.arange(start, min(start + TEXTS_A_BLOCK, len(ranking.texts)))
        found = products(asked, vectors.of_candidates(texts))
        for i, row in enumerate(rows):
            left_out = np.append(ranking.duplicates.bag(row), questions[i])
            found[i, np.isin(texts, left_out)] = -np.inf
        scores = np.concatenate([scores, found], axis=1)
        best = np.concatenate([best, np.broadcast_to(texts, found.shape)], axis=1)
        kept = np.argsort(-scores, axis=1, kind="stable")[:, :candidates]
        scores, best = np.take_along_axis(scores, kept, axis=1), np.take_along_axis(best, kept, axis=1)
    own = np.diag(products(asked, vectors.of_candidates(wanted)))
    bags = np.column_stack([questions, wanted, best])
    scores = np.column_stack([np.zeros(len(rows)), own, scores])
    return Bags(bags.ravel(), np.arange(len(rows) + 1) * bags.shape[1]), scores.ravel()


def _scores(ranker: Ranker, ranking: TokenStore, rows: Bags) -> np.ndarray:
    """The scores of all texts of some rows with the first text of their row, one row after the other."""
    texts, numbers = np.unique(rows.ids, return_inverse=True)
    if isinstance(ranker, LexicalRanker):
        some = [ranking.texts[i] for i in texts]
        questions, candidates = ranker.questions(some), ranker.candidates(some)
    else:
        vectors = embed(ranker, ranking, texts)
        questions = candidates = unit_vectors(vectors)
    of_rows = np.split(numbers, rows.offsets[1:-1])
    return np.concatenate([products(questions[row[:1]], candidates[row])[0] for row in of_rows])


def as_table(worst: Sequence[WorstRanked]) -> tuple[list[str], list[list[Any]]]:
    """The same as columns' names and rows; where a row has fewer candidates above than another, cells are None."""
    widest = max((len(row.above) for row in worst), default=0)
    columns = ["question", "duplicate", "cosine", "rank", "tied"]
    columns += [name for i in range(1, widest + 1) for name in (f"above {i}", f"cosine {i}")]
    return columns, [
        [row.question, *row.duplicate, row.rank, row.tied]
        + [cell for candidate in row.above for cell in candidate]
        + [None, None] * (widest - len(row.above))
        for row in worst
    ]
