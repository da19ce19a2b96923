"""Lets a large model order the best hits of an index again."""

from collections.abc import Sequence

from askagain.models.reranker import Reranker
from askagain.ranking.fusion import KEPT, RERANKED
from askagain.search.index import Hit, Index


def rerank(index: Index, model: Reranker, questions: Sequence[str], k: int, hybrid: bool) -> list[list[Hit]]:
    """The `k` best hits of each question: the first ones in the order of the model's score plus a share of the index's.

    Hits behind those that the model has seen keep their order.
    """
    found = index.search(questions, max(k, RERANKED), hybrid)
    results = []
    for question, hits in zip(questions, found, strict=True):
        first, rest = hits[:RERANKED], hits[RERANKED:]
        if first:
            given = model.scores(question, [hit.encoded for hit in first])
            first = [
                hit._replace(score=float(score) + KEPT * hit.score) for hit, score in zip(first, given, strict=True)
            ]
        results.append([*sorted(first, key=lambda hit: -hit.score), *rest][:k])
    return results
