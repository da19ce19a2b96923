"""Rankers made of two: an encoder fused with one that counts terms, and one whose best candidates a model orders."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence

import numpy as np

from askagain.errors import InputError
from askagain.models.bag_encoder import unit_vectors
from askagain.models.encoder import Encoder
from askagain.models.lexical import LexicalRanker
from askagain.models.reranker import Reranker
from askagain.ranking.fusion import ROUNDED, fused, reranked
from askagain.ranking.products import SparseScores
from askagain.text.bags import Bags

FUSED_SCALE = 10.0  # z-scores of the best candidates are about ten times as large as cosines


class RowRanker(ABC):
    """A ranker that scores the candidates of one question together, in rows of a ranking set only.

    `encoder`: whose vectors it begins with.
    """

    encoder: Encoder

    @abstractmethod
    def fit(self, texts: Iterable[str]) -> None:
        """Counts terms in the texts of a corpus, where it counts some."""

    @abstractmethod
    def row_scores(self, texts: Sequence[str], rows: Bags) -> list[np.ndarray]:
        """The score of each candidate of each row; equal texts have equal scores.

        `texts`: distinct. `rows`: bags of their indices, the question first, then its candidates.
        """

    def _cosines(self, texts: Sequence[str], rows: Bags) -> list[np.ndarray]:
        vectors = unit_vectors(self.encoder.encode(texts))
        bags = [rows.bag(row) for row in range(len(rows))]
        return [np.round(vectors[bag[1:]] @ vectors[bag[0]], ROUNDED).astype(np.float64) for bag in bags]


class Hybrid(RowRanker):
    """The z-scores of an encoder plus `weight` times those of a ranker that counts terms.

    Args:
        encoder: gives the cosines.
        lexical: the other ranker.
        weight: how much it counts, 0 or more.
    """

    def __init__(self, encoder: Encoder, lexical: LexicalRanker, weight: float) -> None:
        if not weight >= 0:
            raise InputError(f"weight={weight}: must be 0 or more")
        self.encoder = encoder
        self.lexical = lexical
        self.weight = weight

    def fit(self, texts: Iterable[str]) -> None:
        self.lexical.fit(texts)

    def row_scores(self, texts: Sequence[str], rows: Bags) -> list[np.ndarray]:
        asked, candidates = self.lexical.questions(texts), self.lexical.candidates(texts)
        of_terms, scores = SparseScores(asked, candidates), []
        for row, cosines in enumerate(self._cosines(texts, rows)):
            bag = rows.bag(row)
            scores.append(fused(cosines, of_terms(bag[0], bag[1:]), self.weight))
        return scores


class Reranked(RowRanker):
    """The best candidates of an encoder, or of a `Hybrid`, in the order of a larger model; the others behind them.

    Args:
        first: finds the best candidates.
        model: scores them.
        candidates: how many it scores for each question.
        kept: how much of the first ranker's score is added to the model's.
    """

    def __init__(self, first: Encoder | Hybrid, model: Reranker, candidates: int, kept: float) -> None:
        if candidates < 1:
            raise InputError(f"candidates={candidates}: must be at least 1")
        self.first = first
        self.encoder = first.encoder if isinstance(first, Hybrid) else first
        self.model = model
        self.candidates = candidates
        self.kept = kept

    def fit(self, texts: Iterable[str]) -> None:
        if isinstance(self.first, Hybrid):
            self.first.fit(texts)

    def row_scores(self, texts: Sequence[str], rows: Bags) -> list[np.ndarray]:
        is_fused = isinstance(self.first, Hybrid)
        first = self.first.row_scores(texts, rows) if isinstance(self.first, Hybrid) else self._cosines(texts, rows)
        scores = []
        for row, own in enumerate(first):
            bag = rows.bag(row)
            best = np.argsort(-own, kind="stable")[: self.candidates]
            # All that tie with the last one are scored, so that their order in the file decides nothing.
            best = np.flatnonzero(own >= own[best[-1]]) if np.ptp(own) else best
            given = np.full(len(own), np.nan)
            given[best] = self.model.scores(texts[bag[0]], [texts[bag[1 + place]] for place in best.tolist()])
            scores.append(reranked(own / FUSED_SCALE if is_fused else own, given, self.kept))
        return scores
