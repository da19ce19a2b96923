"""Questions of several fields, such as title, body and tags: one text, each word of a further field marked as such.

The marks are characters that Unicode sets aside for use within a program. A marked word is another feature than the
same word in a title, has a weight of its own, and no letter n-grams.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from askagain.errors import InputError

FIRST_MARK, MOST_FIELDS = 0xFDD0, 32
MARK = re.compile("[\ufdd0-\ufdef]")
MARKED = re.compile("[\ufdd0-\ufdef][^ ]*")


@dataclass(frozen=True)
class Fields:
    """The fields of a question.

    `names`: the first one is the text that a question is known by. `words`: the most words that are read of a field.
    `weights`: what its features weigh, 1 where none is given. Raises InputError for a name that is not in `names`.
    """

    names: Sequence[str]
    words: Mapping[str, int] = field(default_factory=dict)
    weights: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not 1 <= len(self.names) <= MOST_FIELDS or len(set(self.names)) < len(self.names):
            raise InputError(f"fields={list(self.names)}: must be 1 to {MOST_FIELDS} different names")

    def compose(self, record: Mapping[str, Any]) -> str:
        """The text of a question: its title, then the marked words of its further fields. Lists are joined."""
        parts = [_tokens(record.get(self.names[0]), self.words.get(self.names[0]))]
        for mark, name in zip(self._marks[1:], self.names[1:], strict=True):
            parts.append([mark + token for token in _tokens(record.get(name), self.words.get(name))])
        return " ".join(token for part in parts for token in part)

    def word_weights(self, words: Sequence[str]) -> np.ndarray:
        """The weight of each word by its field, [words] float32."""
        by_mark = {
            mark: self.weights.get(name, 1.0) for mark, name in zip(self._marks[1:], self.names[1:], strict=True)
        }
        title = self.weights.get(self.names[0], 1.0)
        return np.fromiter((by_mark.get(word[:1], title) for word in words), np.float32, len(words))

    def named(self, word: str) -> str:
        """A word as people read it: `body:install`."""
        for mark, name in zip(self._marks[1:], self.names[1:], strict=True):
            word = word.replace(mark, f"{name}:")
        return word

    def as_dict(self) -> dict[str, Any]:
        """The arguments as JSON values."""
        return {"names": list(self.names), "words": dict(self.words), "weights": dict(self.weights)}

    @property
    def _marks(self) -> list[str]:
        return [chr(FIRST_MARK + place) for place in range(len(self.names))]


def title_of(text: str) -> str:
    """The title of a text that may have further fields."""
    return MARKED.sub("", text).strip()


def readable(text: str) -> str:
    """The text of all fields without marks."""
    return MARK.sub("", text)


def _tokens(value: Any, most: int | None) -> list[str]:
    texts = value if isinstance(value, list | tuple) else [value]
    tokens = [token for text in texts if text is not None for token in MARK.sub("", str(text)).split()]
    return tokens[:most]
