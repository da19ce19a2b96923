"""Which features carry the score of a question and a candidate."""

from typing import NamedTuple

import numpy as np

from askagain.models.bag_encoder import SHORTEST, BagEncoder
from askagain.models.encoder import Encoder
from askagain.models.lexical import LexicalRanker
from askagain.text.fields import Fields


class ScorePart(NamedTuple):
    """What a feature of the question and one of the candidate add to their score.

    `[whe]` is a letter n-gram, `hard disk` a word pair.
    """

    question_feature: str
    candidate_feature: str
    score: float


def score_parts(ranker: Encoder | LexicalRanker, question: str, candidate: str) -> list[ScorePart] | None:
    """The parts that add up to the score, largest first; None for an encoder without a table of features.

    The cosine of two sums of table rows is the sum, over pairs of features, of the product of their rows divided by
    both lengths; means have the same cosine. A feature that a text has twice counts twice.
    """
    if isinstance(ranker, LexicalRanker):
        parts = [ScorePart(term, term, score) for term, score in ranker.shared_terms(question, candidate)]
    elif isinstance(ranker, BagEncoder):
        parts = _pairs_of_features(ranker, question, candidate)
    else:
        return None
    return sorted(parts, key=lambda part: -part.score)


def _pairs_of_features(encoder: BagEncoder, question: str, candidate: str) -> list[ScorePart]:
    bags = encoder.tokenize([question, candidate])
    table = encoder.bag.weight.detach().cpu()
    ids, rows = [], []
    for i in range(2):
        features, counts = np.unique(bags.bag(i), return_counts=True)
        added = table[features.astype(np.int64)].double().numpy() * counts[:, np.newaxis]  # [features, dim]
        ids.append(features)
        rows.append(added / max(float(np.linalg.norm(added.sum(axis=0))), SHORTEST))
    products = rows[0] @ rows[1].T  # [features of the question, features of the candidate]
    fields = encoder.preprocessor.fields or Fields(["title"])
    names = [[fields.named(encoder.features.name(int(feature))) for feature in features] for features in ids]
    return [
        ScorePart(one, other, float(products[i, j]))
        for i, one in enumerate(names[0])
        for j, other in enumerate(names[1])
    ]
