"""Which rows of the embedding table a word stands for: itself, its letter trigrams, or both."""

import hashlib
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from askagain.errors import InputError
from askagain.text.bags import Bags
from askagain.text.token_words import TokenWords
from askagain.text.trigrams import TrigramTokenizer
from askagain.text.vocabulary import WordVocabulary

KINDS = ("words", "trigrams", "words_trigrams", "words_else_trigrams")


class Features:
    """Maps a word to feature ids; the known words come first, the known trigrams after them.

    `kind`: `words`, `trigrams`, `words_trigrams` (both), or `words_else_trigrams` (trigrams stand in for unknown
    words only).
    """

    def __init__(self, kind: str, vocabulary: WordVocabulary, tokenizer: TrigramTokenizer) -> None:
        if kind not in KINDS:
            raise InputError(f"features.kind={kind}: not one of {', '.join(KINDS)}")
        self.kind = kind
        self.vocabulary = vocabulary
        self.tokenizer = tokenizer

    @classmethod
    def from_words(
        cls,
        tokens: TokenWords,
        kind: str,
        min_count: int = 1,
        max_words: int | None = None,
        max_trigrams: int | None = None,
    ) -> "Features":
        """The features of the given texts: words that occur `min_count` times or more, and trigrams of all words.

        `max_words`, `max_trigrams`: keep the most frequent ones only (None: all). Raises InputError for a bound below
        1.
        """
        for name, bound in (("min_count", min_count), ("max_words", max_words), ("max_trigrams", max_trigrams)):
            if bound is not None and bound < 1:
                raise InputError(f"features.{name}={bound}: must be at least 1")
        words, trigrams = WordVocabulary([]), TrigramTokenizer([])
        if "words" in kind:
            words = WordVocabulary.from_counts(tokens.words, tokens.counts, min_count, max_words)
        if "trigrams" in kind:
            trigrams = TrigramTokenizer.from_words(tokens.words, max_size=max_trigrams)
        return cls(kind, words, trigrams)

    @property
    def size(self) -> int:
        """Rows that an embedding table needs."""
        return len(self.vocabulary) + self.tokenizer.vocab_size

    def of_words(self, words: Sequence[str]) -> Bags:
        """One bag of feature ids a word; empty where nothing of the word is known."""
        return Bags.from_lists([self.of_word(word) for word in words])

    def of_tokens(self, tokens: TokenWords) -> Bags:
        """One bag of feature ids a token, those of its words; a text's bag is that of its tokens, sorted."""
        return tokens.of_tokens.expand(self.of_words(tokens.words))

    def of_word(self, word: str) -> list[int]:
        """The feature ids of one word."""
        row = self.vocabulary.index.get(word)
        ids = [] if row is None else [row]
        if self.tokenizer.vocab_size and (row is None or self.kind != "words_else_trigrams"):
            words = len(self.vocabulary)
            ids += [words + i for i in self.tokenizer.indices(word)]
        return ids

    @cached_property
    def fingerprint(self) -> str:
        """A digest of what ids depend on, for cache keys."""
        digest = hashlib.sha256(self.kind.encode())
        for names in (self.vocabulary.words, self.tokenizer.trigrams):
            digest.update("\n".join(names).encode() + b"\0")
        return digest.hexdigest()

    def save(self, folder: Path) -> None:
        """Writes `words.json` and `trigrams.json` into `folder`."""
        self.vocabulary.save(folder / "words.json")
        self.tokenizer.save(folder / "trigrams.json")

    @classmethod
    def load(cls, folder: Path, kind: str) -> "Features":
        """Reads what `save` wrote."""
        return cls(kind, WordVocabulary.load(folder / "words.json"), TrigramTokenizer.load(folder / "trigrams.json"))
