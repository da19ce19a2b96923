"""The interface of an encoder: all that evaluation knows of it."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np


class Encoder(Protocol):
    """Turns texts into vectors whose cosine is their similarity."""

    @property
    def dim(self) -> int:
        """The length of a vector."""

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """[texts, dim] float32; a zero row for a text without known features, equal rows for equal texts."""
