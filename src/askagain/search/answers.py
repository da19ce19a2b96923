"""Hits as records of figures, as `askagain search --json` and the server give them."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from askagain.evaluation.thresholds import Thresholds
from askagain.models.bag_encoder import SHORTEST, BagEncoder
from askagain.search.snapshot import Hit

EXPLAINED = 3  # parts of an explanation
CHUNK = re.compile(r"[^\W_]+", re.UNICODE)  # what may be a word of a text


def hit_records(hits: Sequence[Hit], thresholds: Thresholds | None) -> list[dict[str, Any]]:
    """Of each hit `score`, `probability` where thresholds are given, `id` and `text`."""
    records: list[dict[str, Any]] = [{"score": round(hit.score, 4)} for hit in hits]
    if thresholds is not None:
        probabilities = thresholds.probability(np.array([hit.score for hit in hits]))
        for record, probability in zip(records, probabilities.tolist(), strict=True):
            record["probability"] = round(probability, 4)
    return [record | {"id": hit.id, "text": hit.text} for record, hit in zip(records, hits, strict=True)]


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

    def __call__(self, questions: Sequence[str], found: Sequence[Sequence[Hit]]) -> list[list[list[tuple[str, float]]]]:
        """The text of each hit of each question, cut into words and what stands between them, with their shares."""
        pieces = [[_pieces(hit.text) for hit in hits] for hits in found]
        words = dict.fromkeys(piece for texts in pieces for text in texts for piece, is_word in text if is_word)
        places = {word: place for place, word in enumerate(words)}
        vectors = self._encoder.encode([*questions, *words, *(hit.encoded for hits in found for hit in hits)])
        asked, word_vectors, texts_vectors = np.split(vectors, [len(questions), len(questions) + len(words)])
        asked = asked / np.maximum(np.linalg.norm(asked, axis=1, keepdims=True), SHORTEST)
        lengths = iter(np.maximum(np.linalg.norm(texts_vectors, axis=1), SHORTEST).tolist())
        shares = []
        for vector, texts in zip(asked, pieces, strict=True):
            products = (word_vectors @ vector).tolist()
            shares.append([_shares(text, places, products, next(lengths)) for text in texts])
        return shares


def _shares(
    pieces: Sequence[tuple[str, bool]], places: Mapping[str, int], products: Sequence[float], length: float
) -> list[tuple[str, float]]:
    return [(piece, round(products[places[piece]] / length, 4) if is_word else 0.0) for piece, is_word in pieces]


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
