"""The baseline that knows nothing: every text has a random vector of its own."""

from collections.abc import Sequence
from hashlib import blake2b

import numpy as np


class RandomVectors:
    """Vectors drawn from a text's digest; satisfies `Encoder`. `seed`: another one gives other vectors."""

    dim = 16

    def __init__(self, seed: int) -> None:
        self._key = str(seed).encode()

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """[len(texts), dim] float32, evenly from -1 to 1; equal rows for equal texts."""
        digests = b"".join(blake2b(text.encode(), digest_size=4 * self.dim, key=self._key).digest() for text in texts)
        numbers = np.frombuffer(digests, dtype="<u4").reshape(len(texts), self.dim)
        return (numbers / 2**31 - 1).astype(np.float32)
