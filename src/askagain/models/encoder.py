"""The one seam: all that search, evaluation and export know of an encoder."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np


class Encoder(Protocol):
    """Turns texts into vectors whose cosine says how alike the texts are."""

    @property
    def dim(self) -> int:
        """The length of a vector."""

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """[len(texts), dim] float32; a zero row for a text in which nothing is known; equal rows for equal texts."""
