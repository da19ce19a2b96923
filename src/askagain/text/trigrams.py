"""Letter trigrams: what gives a word that was never seen a vector all the same."""

from collections import Counter
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from askagain.files.json_files import load_strings, write_json


def letter_trigrams(word: str) -> list[str]:
    """The letter trigrams of `#word#`, in order: `where` gives `#wh whe her ere re#`.

    Source: word hashing in Huang et al., "Learning Deep Structured Semantic Models for Web Search using Clickthrough
    Data", CIKM 2013.
    """
    marked = f"#{word}#"
    return [marked[i : i + 3] for i in range(len(marked) - 2)]


class TrigramTokenizer:
    """A fixed set of letter trigrams, each with an index; trigrams outside it are skipped."""

    def __init__(self, trigrams: Sequence[str]) -> None:
        self.trigrams = list(trigrams)

    @classmethod
    def from_words(cls, words: Sequence[str], max_size: int | None = None) -> "TrigramTokenizer":
        """The trigrams of the distinct `words`, the `max_size` commonest of them (None: all)."""
        counts = Counter(trigram for word in words for trigram in letter_trigrams(word))
        return cls([trigram for trigram, _ in counts.most_common(max_size)])

    @property
    def vocab_size(self) -> int:
        """How many trigrams are known."""
        return len(self.trigrams)

    @cached_property
    def index(self) -> dict[str, int]:
        """Trigram to index."""
        return {trigram: i for i, trigram in enumerate(self.trigrams)}

    def tokenize(self, word: str) -> list[str]:
        """The known trigrams of a word, in order, repeats kept."""
        return [trigram for trigram in letter_trigrams(word) if trigram in self.index]

    def indices(self, word: str) -> list[int]:
        """The indices of the known trigrams of a word, in order, repeats kept."""
        index = self.index
        return [index[trigram] for trigram in letter_trigrams(word) if trigram in index]

    def save(self, path: Path) -> None:
        """Writes the trigrams as a JSON list."""
        write_json(path, self.trigrams)

    @classmethod
    def load(cls, path: Path) -> "TrigramTokenizer":
        """Reads what `save` wrote; raises ValueError where it is something else."""
        return cls(load_strings(path))
