"""Hits as records of figures, as `askagain search --json` and the server give them."""

import re
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from askagain.evaluation.thresholds import Thresholds
from askagain.models.bag_encoder import SHORTEST, BagEncoder
from askagain.search.snapshot import Hit

EXPLAINED = 3  # parts of an explanation
KEPT_TEXTS = 2_048  # whose words are at hand
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
    Texts that were asked for lately are kept: while somebody types, the same ones are found again and again.
    """

    def __init__(self, encoder: BagEncoder) -> None:
        self._encoder = BagEncoder(encoder.preprocessor, encoder.features, encoder.table, "sum", normalize=False)
        self._known: OrderedDict[tuple[str, str], _Words] = OrderedDict()

    def __call__(self, questions: np.ndarray, found: Sequence[Sequence[Hit]]) -> list[list[list[tuple[str, float]]]]:
        """The text of each hit of each question, cut into words and what stands between them, with their shares.

        `questions`: the vectors of the questions, of length 1: [questions, dim].
        """
        self._learn({(hit.text, hit.encoded) for hits in found for hit in hits})
        shares = [
            [self._known[hit.text, hit.encoded].shares(vector) for hit in hits]
            for vector, hits in zip(questions, found, strict=True)
        ]
        while len(self._known) > KEPT_TEXTS:
            self._known.popitem(last=False)
        return shares

    def _learn(self, texts: Iterable[tuple[str, str]]) -> None:
        """Keeps the words of texts, each as it is shown and as the encoder read it."""
        new = []
        for text in texts:
            if text in self._known:
                self._known.move_to_end(text)
            else:
                new.append(text)
        if not new:
            return
        pieces = [_pieces(shown) for shown, _ in new]
        words = dict.fromkeys(piece for text in pieces for piece, is_word in text if is_word)
        places = {word: place for place, word in enumerate(words)}
        vectors = self._encoder.encode([*words, *(encoded for _, encoded in new)])
        lengths = np.maximum(np.linalg.norm(vectors[len(words) :], axis=1), SHORTEST)
        for text, cut, length in zip(new, pieces, lengths.tolist(), strict=True):
            rows = [places[piece] for piece, is_word in cut if is_word]
            self._known[text] = _Words(cut, vectors[rows] / length)


class _Words(NamedTuple):
    """The pieces of a text, and the vectors of the words among them divided by the length of the text's."""

    pieces: list[tuple[str, bool]]
    vectors: np.ndarray

    def shares(self, question: np.ndarray) -> list[tuple[str, float]]:
        products = iter(np.round(self.vectors @ question, 4).tolist())
        return [(piece, next(products) if is_word else 0.0) for piece, is_word in self.pieces]


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
