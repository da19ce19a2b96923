"""Hits as records of figures, as `askagain search --json` and the server give them."""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from askagain.evaluation.thresholds import Thresholds
from askagain.models.bag_encoder import SHORTEST, BagEncoder
from askagain.search.snapshot import Hit

EXPLAINED = 3  # parts of an explanation
CHUNK = re.compile(r"[^\W_]+", re.UNICODE)  # what may be a word of a text


def hit_record(hit: Hit, thresholds: Thresholds | None) -> dict[str, Any]:
    """`score`, `probability` where thresholds are given, `id` and `text`."""
    record: dict[str, Any] = {"score": round(hit.score, 4)}
    if thresholds is not None:
        record["probability"] = round(float(thresholds.probability(np.array([hit.score]))[0]), 4)
    return record | {"id": hit.id, "text": hit.text}


def because(encoder: BagEncoder, question: str, hits: Sequence[Hit]) -> list[list[dict[str, Any]]]:
    """The pairs of features that carried each hit, largest first."""
    explanations = encoder.explain_all(question, [hit.encoded for hit in hits], EXPLAINED)
    return [
        [
            {"question": part.question_feature, "text": part.candidate_feature, "score": round(part.score, 4)}
            for part in parts
        ]
        for parts in explanations
    ]


class WordShares:
    """What each word of a text adds to its cosine with a question.

    The features of a word are those that it has alone, its letter n-grams among them; what word pairs add is left out.
    """

    def __init__(self, encoder: BagEncoder) -> None:
        self._encoder = BagEncoder(encoder.preprocessor, encoder.features, encoder.table, "sum", normalize=False)

    def __call__(self, question: str, hits: Sequence[Hit]) -> list[list[tuple[str, float]]]:
        """The text of each hit, cut into words and what stands between them, each with its share of the cosine."""
        pieces = [_pieces(hit.text) for hit in hits]
        words = sorted({piece for text in pieces for piece, is_word in text if is_word})
        vectors = self._encoder.encode([question, *words, *(hit.encoded for hit in hits)])
        lengths = np.maximum(np.linalg.norm(vectors, axis=1), SHORTEST)
        products = vectors[1 : 1 + len(words)] @ vectors[0] / lengths[0]
        share = dict(zip(words, products.tolist(), strict=True))
        return [
            [(piece, round(share[piece] / length, 4) if is_word else 0.0) for piece, is_word in text]
            for text, length in zip(pieces, lengths[1 + len(words) :].tolist(), strict=True)
        ]


def _pieces(text: str) -> list[tuple[str, bool]]:
    """A text cut into words and what stands between them, and whether each is a word."""
    pieces, end = [], 0
    for match in CHUNK.finditer(text):
        if match.start() > end:
            pieces.append((text[end : match.start()], False))
        pieces.append((match[0], True))
        end = match.end()
    if end < len(text):
        pieces.append((text[end:], False))
    return pieces
