"""Which features carry the score of a question and a candidate."""

from askagain.evaluation.combined import RowRanker
from askagain.models.bag_encoder import BagEncoder, ScorePart
from askagain.models.encoder import Encoder
from askagain.models.lexical import LexicalRanker


def score_parts(ranker: Encoder | LexicalRanker | RowRanker, question: str, candidate: str) -> list[ScorePart] | None:
    """The parts that add up to the score, largest first; None for an encoder without a table of features."""
    if isinstance(ranker, BagEncoder):
        return ranker.explain(question, candidate)
    if isinstance(ranker, LexicalRanker):
        parts = [ScorePart(term, term, score) for term, score in ranker.shared_terms(question, candidate)]
        return sorted(parts, key=lambda part: -part.score)
    return None
