"""The chance baseline: every text has a random vector of its own."""

from collections.abc import Sequence
from hashlib import blake2b

import numpy as np


class RandomVectors:
    """An encoder that draws a vector from the digest of the text and the `seed`."""

    dim = 16

    def __init__(self, seed: int) -> None:
        self._key = str(seed).encode()

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """[texts, dim] float32, uniform from -1 to 1; equal rows for equal texts."""
        digests = b"".join(blake2b(text.encode(), digest_size=4 * self.dim, key=self._key).digest() for text in texts)
        numbers = np.frombuffer(digests, dtype="<u4").reshape(len(texts), self.dim)
        return (numbers / 2**31 - 1).astype(np.float32)
