"""The questions whose duplicate is ranked worst, and the candidates above it: where to look for errors."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from askagain.corpus.token_store import TokenStore
from askagain.evaluation.combined import RowRanker
from askagain.evaluation.evaluate import Ranker, embed, text_vectors
from askagain.evaluation.full_corpus import FullRanking
from askagain.models.bag_encoder import unit_vectors
from askagain.models.lexical import LexicalRanker
from askagain.ranking.among_all import TEXTS_PER_BLOCK
from askagain.ranking.products import products
from askagain.ranking.ranks import Ranks
from askagain.text.bags import Bags


class Candidate(NamedTuple):
    """A candidate's text and its score with the question: their cosine, or the BM25 score."""

    text: str
    score: float


class WorstRanked(NamedTuple):
    """A question, its duplicate, and the candidates above the duplicate.

    `rank`: counted from 1, the mean over all orders of the `tied`. `above`: the best candidates that score above the
    duplicate, best first.
    """

    question: str
    duplicate: Candidate
    rank: float
    tied: int
    above: tuple[Candidate, ...]


def worst_ranked(
    ranker: Ranker,
    ranking: TokenStore | FullRanking,
    ranks: Ranks,
    rows: int,
    candidates: int,
    texts_per_block: int = TEXTS_PER_BLOCK,
) -> list[WorstRanked]:
    """The rows whose duplicate is ranked worst, worst first, without those whose duplicate is first and alone.

    Args:
        ranker: the ranker to look into.
        ranking: a ranking set, of which only the texts of the worst rows are embedded again, or a whole corpus.
        ranks: the ranks that `ranker` gives all rows of `ranking`; of several duplicates the first ranked one counts.
        rows: the most rows to give.
        candidates: the most candidates above the duplicate to give for each row.
        texts_per_block: texts of a whole corpus that are scored together; bounds the memory.
    """
    firsts = _first_duplicates(ranks)
    expected = ranks.expected[firsts]
    order = np.argsort(-expected, kind="stable")[:rows]
    worst = order[expected[order] > 1]
    if not len(worst):
        return []
    if isinstance(ranking, FullRanking):
        bags, scores = _best_among_all(ranker, ranking, firsts[worst], worst, candidates, texts_per_block)
    else:
        bags = ranking.rows.take(worst)
        scores = _scores(ranker, ranking, bags)
    row_scores = np.split(scores, bags.offsets[1:-1])
    result = []
    for place, row in enumerate(firsts[worst]):
        texts = [ranking.texts[i] for i in bags.bag(place)]
        question, duplicate, *negatives = map(Candidate, texts, row_scores[place].tolist())
        best_first = sorted(negatives, key=lambda negative: -negative.score)
        above = tuple(best_first[: min(candidates, ranks.above[row])])
        rank, tied = float(ranks.expected[row]), int(ranks.tied[row])
        result.append(WorstRanked(question.text, duplicate, rank, tied, above))
    return result


def _first_duplicates(ranks: Ranks) -> np.ndarray:
    """The place in `ranks` of the duplicate that each row ranks first, [rows]."""
    if ranks.row is None:
        return np.arange(len(ranks.above))
    order = np.lexsort((ranks.expected, ranks.row))
    return order[np.unique(ranks.row[order], return_index=True)[1]]


def _best_among_all(
    ranker: Ranker,
    ranking: FullRanking,
    duplicates: np.ndarray,
    rows: np.ndarray,
    candidates: int,
    texts_per_block: int,
) -> tuple[Bags, np.ndarray]:
    """Rows like those of a ranking set, whose negatives are the `candidates` best texts, and the scores of all texts.

    `duplicates`: the place in `ranking.duplicates.ids` of each row's duplicate. Other duplicates are left out.
    """
    as_questions, as_candidates = text_vectors(ranker, ranking.texts)
    questions, wanted = ranking.questions[rows], ranking.duplicates.ids[duplicates]
    asked = as_questions(questions)
    best = np.empty((len(rows), 0), dtype=np.int64)  # texts
    scores = np.empty((len(rows), 0))
    for start in range(0, len(ranking.texts), texts_per_block):
        texts = np.arange(start, min(start + texts_per_block, len(ranking.texts)))
        block = products(asked, as_candidates(texts))
        for i, row in enumerate(rows):
            left_out = np.append(ranking.duplicates.bag(row), questions[i])
            block[i, np.isin(texts, left_out)] = -np.inf
        scores = np.concatenate([scores, block], axis=1)
        best = np.concatenate([best, np.broadcast_to(texts, block.shape)], axis=1)
        kept = np.argsort(-scores, axis=1, kind="stable")[:, :candidates]
        scores, best = np.take_along_axis(scores, kept, axis=1), np.take_along_axis(best, kept, axis=1)
    own = np.diag(products(asked, as_candidates(wanted)))
    bags = np.column_stack([questions, wanted, best])
    scores = np.column_stack([np.zeros(len(rows)), own, scores])
    return Bags(bags.ravel(), np.arange(len(rows) + 1) * bags.shape[1]), scores.ravel()


def _scores(ranker: Ranker, ranking: TokenStore, rows: Bags) -> np.ndarray:
    """The scores of the texts of each row with the first one of the row, one row after the other."""
    texts, numbers = np.unique(rows.ids, return_inverse=True)
    if isinstance(ranker, RowRanker):
        scores = ranker.row_scores([ranking.texts[i] for i in texts], Bags(numbers, rows.offsets))
        return np.concatenate([part for own in scores for part in (np.zeros(1), own)])
    if isinstance(ranker, LexicalRanker):
        strings = [ranking.texts[i] for i in texts]
        questions, candidates = ranker.questions(strings), ranker.candidates(strings)
    else:
        vectors = embed(ranker, ranking, texts)
        questions = candidates = unit_vectors(vectors)
    row_numbers = np.split(numbers, rows.offsets[1:-1])
    return np.concatenate([products(questions[row[:1]], candidates[row])[0] for row in row_numbers])


def as_table(worst: Sequence[WorstRanked]) -> tuple[list[str], list[list[Any]]]:
    """The worst ranked as column names and rows of cells; None fills rows with fewer candidates than others."""
    widest = max((len(row.above) for row in worst), default=0)
    columns = ["question", "duplicate", "cosine", "rank", "tied"]
    columns += [name for i in range(1, widest + 1) for name in (f"above {i}", f"cosine {i}")]
    return columns, [
        [row.question, *row.duplicate, row.rank, row.tied]
        + [cell for candidate in row.above for cell in candidate]
        + [None, None] * (widest - len(row.above))
        for row in worst
    ]
