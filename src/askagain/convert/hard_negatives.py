"""The texts closest to a question, as hard negatives: by BM25, or by an encoder."""

from collections.abc import Sequence

import numpy as np

from askagain.errors import InputError
from askagain.models.lexical import Bm25
from askagain.text.preprocessor import TextPreprocessor

MOST_TEXTS = 1_000_000  # among which they are looked for
QUESTIONS_PER_BLOCK = 16
SPARE = 100  # texts beyond those wanted, since members of the group and texts too close to it are left out


def closest_by_bm25(questions: Sequence[str], texts: Sequence[str], wanted: int) -> np.ndarray:
    """The indices of the texts with the highest scores, [questions, wanted + 100], highest first."""
    ranker = Bm25(TextPreprocessor(split="regex", pattern=r"[\w+#]+"), k1=1.2, b=0.75)
    searched = _searched(texts)
    ranker.fit(searched)
    candidates = ranker.candidates(searched)
    asked = ranker.questions(questions)
    candidates.resize((len(searched), asked.shape[1]))
    candidates = candidates.T.tocsr()
    closest = []
    for start in range(0, len(questions), QUESTIONS_PER_BLOCK):
        scores = (asked[start : start + QUESTIONS_PER_BLOCK] @ candidates).toarray()
        closest.append(_highest(scores, wanted))
    return np.concatenate(closest)


def closest_by_encoder(path: str, questions: Sequence[str], texts: Sequence[str], wanted: int) -> np.ndarray:
    """The same by the cosine of an encoder's vectors; raises InputError where there is no encoder."""
    from askagain.models.folder import load_encoder  # it imports PyTorch

    encoder = load_encoder(path)
    vectors, asked = encoder.encode(_searched(texts)), encoder.encode(questions)
    closest = [
        _highest(asked[start : start + QUESTIONS_PER_BLOCK] @ vectors.T, wanted)
        for start in range(0, len(asked), QUESTIONS_PER_BLOCK)
    ]
    return np.concatenate(closest)


def _searched(texts: Sequence[str]) -> list[str]:
    if len(texts) > MOST_TEXTS:
        raise InputError(
            f"--hard: {len(texts):,} texts are more than the {MOST_TEXTS:,} that closest ones are looked for in; "
            "leave it out"
        )
    return list(texts)


def _highest(scores: np.ndarray, wanted: int) -> np.ndarray:
    """The columns of the highest scores of each row, highest first, [rows, wanted + 100]."""
    count = min(wanted + SPARE, scores.shape[1])
    part = np.argpartition(-scores, count - 1, axis=1)[:, :count]
    order = np.argsort(-np.take_along_axis(scores, part, axis=1), axis=1, kind="stable")
    return np.take_along_axis(part, order, axis=1)
