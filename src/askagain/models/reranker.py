"""A large model that orders the best candidates of a cheap encoder again."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from askagain.errors import InputError
from askagain.models.bag_encoder import unit_vectors
from askagain.models.other_packages import SentenceTransformerEncoder, imported_sentence_transformers, loaded
from askagain.text.fields import readable

BATCH = 32  # texts, or pairs of them, that the model reads together
REMEMBERED = 100_000  # texts whose vectors are kept


class Reranker:
    """Scores candidates of a question: their cosine, or the probability that a cross-encoder gives.

    Args:
        path: a model folder, or its name on the Hugging Face Hub. A cross-encoder is told by its architecture.
        device: such as cpu or cuda; None for the fastest one.

    Raises:
        InputError: the package or the model is missing.
    """

    def __init__(self, path: str, device: str | None = None) -> None:
        self._vectors: dict[str, np.ndarray] = {}
        self._cross_encoder = None
        self._encoder = None
        if _is_cross_encoder(path):
            package = imported_sentence_transformers()
            self._cross_encoder = loaded(
                path, "a cross-encoder", lambda name: package.CrossEncoder(name, device=device)
            )
            if self._cross_encoder.num_labels != 1:
                raise InputError(f"{path}: gives {self._cross_encoder.num_labels} numbers a pair, and one is needed")
        else:
            self._encoder = SentenceTransformerEncoder(path, BATCH, device)

    def scores(self, question: str, candidates: Sequence[str]) -> np.ndarray:
        """How well each candidate fits the question, from -1 to 1 or from 0 to 1, [candidates] float64."""
        texts = list(map(readable, candidates))
        if self._cross_encoder is not None:
            given = self._cross_encoder.predict(
                [(readable(question), text) for text in texts], batch_size=BATCH, show_progress_bar=False
            )
            return np.asarray(given, dtype=np.float64)
        vectors = self._embedded([readable(question), *texts])
        return np.round(vectors[1:].astype(np.float64) @ vectors[0].astype(np.float64), 6)

    def _embedded(self, texts: Sequence[str]) -> np.ndarray:
        """The unit vectors of texts, each embedded once."""
        assert self._encoder is not None
        if len(self._vectors) > REMEMBERED:
            self._vectors.clear()
        new = [text for text in dict.fromkeys(texts) if text not in self._vectors]
        if new:
            self._vectors |= dict(zip(new, unit_vectors(self._encoder.encode(new)), strict=True))
        return np.stack([self._vectors[text] for text in texts])


def _is_cross_encoder(path: str) -> bool:
    """Whether a model folder holds a classifier of pairs rather than an encoder of texts."""
    folder = Path(path).expanduser()
    if not folder.is_dir():
        return "cross-encoder" in path or "reranker" in path
    if (folder / "modules.json").is_file():
        return False
    try:
        architectures = json.loads((folder / "config.json").read_bytes()).get("architectures") or []
    except (OSError, ValueError, AttributeError):
        return False
    return any(str(name).endswith("ForSequenceClassification") for name in architectures)
