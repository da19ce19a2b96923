"""The words that an encoder knows, each with an index."""

import hashlib
import json
from collections.abc import Sequence
from functools import cached_property
from itertools import pairwise
from pathlib import Path

import numpy as np

from askagain.files.arrays import read_tensors
from askagain.files.json_files import distinct_strings, write_json

LOOKUP = "lookup.safetensors"  # beside words.json: the same words for `MappedVocabulary`
FEW_WORDS = 1 << 11  # looked up one by one; for more, a dictionary of all is made


class WordVocabulary:
    """Distinct words; the index of a word is its place in the list."""

    def __init__(self, words: Sequence[str]) -> None:
        self.words = list(words)

    @classmethod
    def from_counts(
        cls, words: Sequence[str], counts: np.ndarray, min_count: int = 1, max_size: int | None = None
    ) -> "WordVocabulary":
        """The words that occur at least `min_count` times, the `max_size` most frequent ones (None: all).

        `words` are distinct; `counts`, [words], says how often each occurs. Equally frequent words keep their order.
        """
        order = np.argsort(-np.asarray(counts), kind="stable")
        order = order[np.asarray(counts)[order] >= min_count][:max_size]
        return cls([words[i] for i in order])

    def __len__(self) -> int:
        return len(self.words)

    def __contains__(self, word: object) -> bool:
        return word in self.index

    @cached_property
    def index(self) -> dict[str, int]:
        """The index of each word; the first one of a repeated word."""
        return {word: i for i, word in reversed(list(enumerate(self.words)))}

    def indices(self, words: Sequence[str]) -> np.ndarray:
        """The index of each word, [words] int64, -1 for unknown words."""
        index = self.index
        return np.fromiter((index.get(word, -1) for word in words), dtype=np.int64, count=len(words))

    def save(self, path: Path) -> None:
        write_json(path, self.words)

    def save_lookup(self, folder: Path) -> None:
        """Writes `lookup.safetensors` for `MappedVocabulary.load`."""
        from safetensors.numpy import save_file

        encoded = [word.encode() for word in self.words]
        keys = np.fromiter(map(_key, encoded), dtype=np.uint64, count=len(encoded))
        order = np.argsort(keys, kind="stable")
        offsets = np.zeros(len(encoded) + 1, dtype=np.int64)
        np.cumsum(list(map(len, encoded)), out=offsets[1:])
        letters = np.frombuffer(b"".join(encoded), dtype=np.uint8)
        arrays: dict[str, np.ndarray] = {
            "letters": letters,
            "offsets": offsets,
            "keys": keys[order],
            "order": order.astype(np.int64),
        }
        save_file(arrays, folder / LOOKUP)

    @classmethod
    def load(cls, path: Path) -> "WordVocabulary":
        """Reads what `save` wrote; raises ValueError for anything else."""
        index = distinct_strings(json.loads(path.read_bytes()), path.name)
        vocabulary = cls(list(index))
        vocabulary.index = index
        return vocabulary


class MappedVocabulary(WordVocabulary):
    """A vocabulary in a memory-mapped file, for a process that looks up few words: it reads only what they need.

    `letters`: all words in UTF-8, one after the other. `offsets`: [words + 1] where each begins. `keys`: [words]
    digests of words, rising, and `order`: [words] the index of the word of each.
    """

    def __init__(self, letters: np.ndarray, offsets: np.ndarray, keys: np.ndarray, order: np.ndarray) -> None:
        count = len(offsets) - 1
        shapes = (letters.ndim, offsets.ndim, keys.shape, order.shape)
        types = (letters.dtype, offsets.dtype, keys.dtype, order.dtype)
        if shapes != (1, 1, (count,), (count,)) or types != ("uint8", "int64", "uint64", "int64"):
            raise ValueError(f"{LOOKUP} does not hold words")
        if count and (offsets[0] != 0 or offsets[-1] != len(letters)):
            raise ValueError(f"{LOOKUP} does not hold words")
        self._letters, self._offsets, self._keys, self._order = letters, offsets, keys, order

    @classmethod
    def open(cls, folder: Path) -> "MappedVocabulary":
        """What `save_lookup` wrote; raises ValueError or KeyError for anything else."""
        arrays = read_tensors(folder / LOOKUP, memory_map=True)
        return cls(arrays["letters"], arrays["offsets"], arrays["keys"], arrays["order"])

    def __len__(self) -> int:
        return len(self._order)

    @cached_property
    def words(self) -> list[str]:  # type: ignore[override]
        """All words, in order."""
        letters, offsets = self._letters.tobytes(), self._offsets.tolist()
        return [letters[start:stop].decode() for start, stop in pairwise(offsets)]

    def indices(self, words: Sequence[str]) -> np.ndarray:
        if "index" in self.__dict__ or len(words) > FEW_WORDS:
            return super().indices(words)
        return np.fromiter(map(self._find, words), dtype=np.int64, count=len(words))

    def _find(self, word: str) -> int:
        try:
            encoded = word.encode()
        except UnicodeEncodeError:  # half of a character
            return -1
        key = _key(encoded)
        place = int(np.searchsorted(self._keys, np.uint64(key)))
        while place < len(self) and int(self._keys[place]) == key:
            index = int(self._order[place])
            if not 0 <= index < len(self):
                raise ValueError(f"{LOOKUP} does not hold words")
            if self._letters[self._offsets[index] : self._offsets[index + 1]].tobytes() == encoded:
                return index
            place += 1
        return -1


def _key(word: bytes) -> int:
    """A digest of 64 bits."""
    return int.from_bytes(hashlib.blake2b(word, digest_size=8).digest(), "little")
