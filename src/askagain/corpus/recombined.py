"""Texts made of a corpus's own: the beginning of one, followed by the end of another."""

from collections.abc import Sequence

import numpy as np


def recombined(texts: Sequence[str], count: int, seed: int) -> tuple[list[str], np.ndarray]:
    """`count` texts that are made of two of the given ones each, and which: [count, 2] int64 places in `texts`.

    Every text begins as many of them as every other, or one more or less; where both are cut is random, between two of
    their tokens. A cut may leave nothing of either, but not of both: the first text stands as it is then.
    """
    generator = np.random.default_rng(seed)
    rounds = -(-count // max(1, len(texts)))
    first = np.concatenate([generator.permutation(len(texts)) for _ in range(rounds)] or [np.zeros(0, dtype=np.int64)])
    parents = np.stack([first[:count], generator.integers(max(1, len(texts)), size=count)], axis=1).astype(np.int64)
    tokens: dict[int, list[str]] = {}
    made = []
    for (beginning, end), (cut, other_cut) in zip(parents.tolist(), generator.random((count, 2)).tolist(), strict=True):
        one, other = (tokens.setdefault(place, texts[place].split()) for place in (beginning, end))
        kept = one[: int(cut * (len(one) + 1))] + other[int(other_cut * (len(other) + 1)) :]
        made.append(" ".join(kept or one))
    return made, parents
