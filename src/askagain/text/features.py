"""Which rows of the embedding table a text stands for: its words, their letter n-grams, pairs of neighbours."""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path

import numpy as np

from askagain.errors import InputError
from askagain.text.bags import Bags, offsets_of
from askagain.text.ngrams import TRIGRAMS, NgramTokenizer, check_ngrams
from askagain.text.token_words import TokenWords
from askagain.text.vocabulary import WordVocabulary
from askagain.text.word_pairs import WordPairs

KINDS = ("words", "trigrams", "words_trigrams", "words_else_trigrams", "words_pairs", "words_trigrams_pairs")
PAIRS = "pairs.safetensors"

CountedTexts = Callable[[WordVocabulary], Iterable[Bags]]


@dataclass(frozen=True)
class FeatureSettings:
    """Which features are counted.

    `kind`: see `Features`. `min_count`: words that occur so often or more; `max_words`: the most frequent ones only
    (None: all). `ngram_sizes`: of the letter n-grams of all words; `max_trigrams`: the commonest ones only (None: all);
    `ngram_buckets`: instead of being counted, all of them are hashed into so many rows, see `NgramTokenizer`.
    `min_pair_count`, `max_pairs`: likewise, of pairs of neighbouring known words. Raises InputError for a value out of
    range, and for a bound on n-grams that are hashed.
    """

    kind: str
    min_count: int = 1
    max_words: int | None = None
    max_trigrams: int | None = None
    ngram_sizes: Sequence[int] = TRIGRAMS
    ngram_buckets: int | None = None
    min_pair_count: int = 2
    max_pairs: int | None = None

    def __post_init__(self) -> None:
        _check_kind(self.kind)
        for name in ("min_count", "max_words", "max_trigrams", "min_pair_count", "max_pairs"):
            bound = getattr(self, name)
            if bound is not None and bound < 1:
                raise InputError(f"features.{name}={bound}: must be at least 1")
        check_ngrams(self.ngram_sizes, self.ngram_buckets)
        if self.ngram_buckets is not None and self.max_trigrams is not None:
            raise InputError(
                f"features.max_trigrams={self.max_trigrams}: with features.ngram_buckets={self.ngram_buckets} no "
                "n-grams are counted; set one of both to null"
            )

    def as_key(self) -> dict[str, object]:
        """The settings as plain JSON values, for cache keys."""
        return {field.name: getattr(self, field.name) for field in fields(self)} | {
            "ngram_sizes": list(self.ngram_sizes)
        }


@dataclass(frozen=True, eq=False)
class TokenFeatures:
    """What tokens stand for: `bags`, one bag of feature ids a token, and `words`, one bag of its words' numbers in the
    vocabulary (-1 for an unknown one), or None where nobody asks for them.
    """

    bags: Bags
    words: Bags | None


class Features:
    """Maps texts to feature ids: the known words come first, the letter n-grams after them, known word pairs last.

    `kind`: `words`, `trigrams` (letter n-grams, whatever their sizes), `words_trigrams` (both), or
    `words_else_trigrams` (n-grams stand in for unknown words only); `words_pairs` and `words_trigrams_pairs` have pairs
    of neighbouring words beside them.
    """

    def __init__(
        self, kind: str, vocabulary: WordVocabulary, tokenizer: NgramTokenizer, pairs: WordPairs | None = None
    ) -> None:
        _check_kind(kind)
        self.kind = kind
        self.vocabulary = vocabulary
        self.tokenizer = tokenizer
        self.pairs = pairs or WordPairs()

    @classmethod
    def from_words(cls, tokens: TokenWords, settings: FeatureSettings, texts: CountedTexts | None = None) -> "Features":
        """The features of the given texts.

        `texts` is asked for where the kind has pairs: it gives the texts as bags of word numbers, see
        `WordPairs.from_texts`.
        """
        words, ngrams, pairs = WordVocabulary([]), NgramTokenizer(), WordPairs()
        if "words" in settings.kind:
            words = WordVocabulary.from_counts(tokens.words, tokens.counts, settings.min_count, settings.max_words)
        if "trigrams" in settings.kind:
            ngrams = NgramTokenizer.from_words(
                tokens.words, settings.max_trigrams, settings.ngram_sizes, settings.ngram_buckets
            )
        if "pairs" in settings.kind and texts is not None:
            pairs = WordPairs.from_texts(texts(words), settings.min_pair_count, settings.max_pairs)
        return cls(settings.kind, words, ngrams, pairs)

    @property
    def size(self) -> int:
        """Rows that an embedding table needs."""
        return self._first_pair + len(self.pairs)

    @property
    def _first_pair(self) -> int:
        return len(self.vocabulary) + self.tokenizer.vocab_size

    def of_words(self, words: Sequence[str]) -> Bags:
        """One bag of feature ids a word, those of `of_word`; empty where nothing of the word is known."""
        rows = self.vocabulary.indices(words)
        known = rows >= 0
        singles = Bags(rows[known].astype(np.int32), offsets_of(known))
        if not self.tokenizer.vocab_size:
            return singles
        spelled = np.flatnonzero(~known) if self.kind == "words_else_trigrams" else np.arange(len(words))
        ngrams = self.tokenizer.bags([words[i] for i in spelled.tolist()])
        lengths = np.zeros(len(words), dtype=np.int64)
        lengths[spelled] = ngrams.lengths
        return Bags.side_by_side([singles, Bags(ngrams.ids + len(self.vocabulary), offsets_of(lengths))])

    def of_tokens(self, tokens: TokenWords) -> TokenFeatures:
        """What each token stands for by itself."""
        bags = tokens.of_tokens.expand(self.of_words(tokens.words))
        return TokenFeatures(bags, tokens.numbered(self.vocabulary) if len(self.pairs) else None)

    def of_texts(self, texts: Bags, tokens: TokenFeatures) -> Bags:
        """One bag of feature ids a text, in rising order; `texts` has one bag of token numbers a text."""
        words = None if tokens.words is None else texts.expand(tokens.words)
        return self.with_pairs(texts.expand(tokens.bags), words)

    def with_pairs(self, bags: Bags, words: Bags | None) -> Bags:
        """The feature ids of texts, given those of their single words and the numbers of these words, in order."""
        if words is None:
            return bags.sorted_within()
        pairs = self.pairs.indices(words)
        return Bags.side_by_side([bags, Bags(pairs.ids + self._first_pair, pairs.offsets)]).sorted_within()

    def of_word(self, word: str) -> list[int]:
        """The feature ids of one word."""
        row = self.vocabulary.index.get(word)
        ids = [] if row is None else [row]
        if self.tokenizer.vocab_size and (row is None or self.kind != "words_else_trigrams"):
            words = len(self.vocabulary)
            ids += [words + i for i in self.tokenizer.indices(word)]
        return ids

    def name(self, feature: int) -> str:
        """What a feature id stands for: `disk`, the n-gram `[dis]`, hashed ones `[bucket 7]`, the pair `hard disk`."""
        words = self.vocabulary.words
        if feature < len(words):
            return words[feature]
        if feature < self._first_pair:
            return self.tokenizer.name(feature - len(words))
        first, second = self.pairs.words(feature - self._first_pair)
        return f"{words[first]} {words[second]}"

    @cached_property
    def fingerprint(self) -> str:
        """A digest of what ids depend on, for cache keys."""
        digest = hashlib.sha256(self.kind.encode())
        for names in (self.vocabulary.words, self.tokenizer.ngrams):
            digest.update("\n".join(names).encode() + b"\0")
        if not self.tokenizer.known_trigrams_only:
            digest.update(f"{self.tokenizer.sizes} {self.tokenizer.buckets}".encode() + b"\0")
        if len(self.pairs):
            digest.update(self.pairs.keys.tobytes())
        return digest.hexdigest()

    def save(self, folder: Path) -> None:
        """Writes `words.json`, what `NgramTokenizer.save` does, and, where there are pairs, `pairs.safetensors`."""
        self.vocabulary.save(folder / "words.json")
        self.tokenizer.save(folder)
        if len(self.pairs):
            self.pairs.save(folder / PAIRS)

    @classmethod
    def load(cls, folder: Path, kind: str) -> "Features":
        """Reads what `save` wrote."""
        vocabulary = WordVocabulary.load(folder / "words.json")
        pairs = WordPairs.load(folder / PAIRS, len(vocabulary)) if (folder / PAIRS).exists() else None
        return cls(kind, vocabulary, NgramTokenizer.load(folder), pairs)


def _check_kind(kind: str) -> None:
    if kind not in KINDS:
        raise InputError(f"features.kind={kind}: not one of {', '.join(KINDS)}")
