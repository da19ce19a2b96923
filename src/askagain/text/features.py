"""Features of a text, the rows of the embedding table: its words, their letter n-grams, and word pairs."""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from pathlib import Path

import numpy as np

from askagain.errors import InputError
from askagain.native.texts import collected
from askagain.text.bags import Bags, offsets_of
from askagain.text.fields import MARK, Fields
from askagain.text.ngrams import TRIGRAMS, NgramTokenizer, check_ngrams
from askagain.text.token_words import TokenWords
from askagain.text.vocabulary import LOOKUP, MappedVocabulary, WordVocabulary
from askagain.text.word_pairs import WordPairs

KINDS = (
    *("words", "trigrams", "words_trigrams", "words_else_trigrams"),
    *("words_pairs", "words_trigrams_pairs", "words_else_trigrams_pairs"),
)
PAIRS = "pairs.safetensors"
MANY_TOKENS = 1 << 22  # whose features are looked up word by word, which takes longer and less memory

CountedTexts = Callable[[WordVocabulary], Iterable[Bags]]


@dataclass(frozen=True)
class FeatureSettings:
    """Which features are counted; the most frequent ones up to a maximum (None: all).

    Raises InputError where a value is out of range, or `max_trigrams` bounds hashed n-grams.
    """

    kind: str  # see `Features`
    min_count: int = 1  # how often a word must occur
    max_words: int | None = None
    max_trigrams: int | None = None  # of letter n-grams
    ngram_sizes: Sequence[int] = TRIGRAMS  # letters of an n-gram
    ngram_buckets: int | None = None  # hash all n-grams into this many rows instead of counting them
    min_pair_count: int = 2  # how often a pair of neighbouring known words must occur
    max_pairs: int | None = None

    def __post_init__(self) -> None:
        _check_kind(self.kind)
        for name in ("min_count", "max_words", "max_trigrams", "min_pair_count", "max_pairs"):
            bound = getattr(self, name)
            if bound is not None and bound < 1:
                raise InputError(f"{name}={bound}: must be at least 1")
        check_ngrams(self.ngram_sizes, self.ngram_buckets)
        if self.ngram_buckets is not None and self.max_trigrams is not None:
            raise InputError(
                f"max_trigrams={self.max_trigrams}: with ngram_buckets={self.ngram_buckets} no n-grams are counted; "
                "set one of the two to null"
            )

    def as_key(self) -> dict[str, object]:
        """The settings as JSON values, for cache keys."""
        return vars(self) | {"ngram_sizes": list(self.ngram_sizes)}


class Features:
    """Maps texts to feature ids: known words come first, then letter n-grams, then known word pairs.

    `kind`: `words`, `trigrams` (letter n-grams of any size), `words_trigrams` (both), or `words_else_trigrams` (n-grams
    of unknown words only); `words_pairs`, `words_trigrams_pairs` and `words_else_trigrams_pairs` add pairs of
    neighbouring words.
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
        """Counts the features of `tokens`.

        `texts` gives the texts as bags of word indices, see `WordPairs.from_texts`; only called to count pairs.
        """
        words, ngrams, pairs = WordVocabulary([]), NgramTokenizer(), WordPairs()
        if "words" in settings.kind:
            words = WordVocabulary.from_counts(tokens.words, tokens.counts, settings.min_count, settings.max_words)
        if "trigrams" in settings.kind:
            titles = [word for word in tokens.words if not MARK.match(word)]
            ngrams = NgramTokenizer.from_words(
                titles, settings.max_trigrams, settings.ngram_sizes, settings.ngram_buckets
            )
        if "pairs" in settings.kind and texts is not None:
            pairs = WordPairs.from_texts(texts(words), settings.min_pair_count, settings.max_pairs)
        return cls(settings.kind, words, ngrams, pairs)

    def with_further(self, words: Sequence[str], ngrams: Sequence[str] = ()) -> "Features":
        """The same features, and further words and letter n-grams; those that are known already are left out.

        Of the n-grams those count whose size is one of the tokenizer's, which must not hash them.
        """
        vocabulary, tokenizer = self.vocabulary, self.tokenizer
        if words:
            vocabulary = WordVocabulary(list(dict.fromkeys([*vocabulary.words, *words])))
        if ngrams:
            sizes = tokenizer.sizes
            further = (ngram for ngram in ngrams if len(ngram) in sizes)
            tokenizer = NgramTokenizer(list(dict.fromkeys([*tokenizer.ngrams, *further])), sizes)
        return Features(self.kind, vocabulary, tokenizer, self.pairs)

    def of_kind(self, kind: str) -> "Features":
        """The same words, n-grams and pairs, of which a text has those that another kind says."""
        return Features(kind, self.vocabulary, self.tokenizer, self.pairs)

    @property
    def size(self) -> int:
        """Rows of the embedding table."""
        return self._first_pair + len(self.pairs)

    @property
    def _first_pair(self) -> int:
        return len(self.vocabulary) + self.tokenizer.vocab_size

    def word_bags(self, words: Sequence[str]) -> Bags:
        """One bag of feature ids for each word; empty where nothing of a word is known."""
        rows = self.vocabulary.indices(words)
        known = rows >= 0
        singles = Bags(rows[known].astype(np.int32), offsets_of(known))
        if not self.tokenizer.vocab_size:
            return singles
        spelled = np.arange(len(words)) if self.spells_known else np.flatnonzero(~known)
        if any(map(MARK.match, words)):
            spelled = spelled[[not MARK.match(words[place]) for place in spelled.tolist()]]
        ngrams = self.tokenizer.bags([words[i] for i in spelled.tolist()])
        lengths = np.zeros(len(words), dtype=np.int64)
        lengths[spelled] = ngrams.lengths
        return Bags.side_by_side([singles, Bags(ngrams.ids + len(self.vocabulary), offsets_of(lengths))])

    @property
    def spells_unknown(self) -> bool:
        """Whether unknown words have n-grams."""
        return self.tokenizer.vocab_size > 0

    @property
    def spells_known(self) -> bool:
        """Whether known words have n-grams."""
        return self.spells_unknown and "else" not in self.kind

    def text_lookup(self, tokens: TokenWords) -> Callable[[Bags], Bags]:
        """A function that turns texts, as bags of indices of `tokens`, into bags of sorted feature ids."""
        word_features = self.word_bags(tokens.words)
        is_large = len(tokens.bags) > MANY_TOKENS  # the features of all tokens would fill the memory
        steps = [tokens.bags, word_features] if is_large else [tokens.bags.expand(word_features)]
        words = tokens.numbered(self.vocabulary) if len(self.pairs) else None

        def look_up(texts: Bags) -> Bags:
            ids = reduce(Bags.expand, steps[:-1], texts)
            if words is None:
                return _collected(ids, steps[-1])
            return self.with_pairs(ids.expand(steps[-1]), texts.expand(words))

        return look_up

    def with_pairs(self, bags: Bags, words: Bags | None) -> Bags:
        """Adds the pairs of neighbouring `words` to the feature `bags` of texts, and sorts the ids."""
        if words is None:
            return bags.sorted_within()
        pairs = self.pairs.indices(words)
        return Bags.side_by_side([bags, Bags(pairs.ids + self._first_pair, pairs.offsets)]).sorted_within()

    def field_weights(self, fields: Fields) -> np.ndarray:
        """The weight of each feature by its field, [size] float32; a pair weighs what its second word does."""
        words = fields.word_weights(self.vocabulary.words)
        title = fields.word_weights([""])
        pairs = words[self.pairs.second_words()] if len(self.pairs) else words[:0]
        return np.concatenate([words, np.repeat(title, self.tokenizer.vocab_size), pairs])

    def name(self, feature: int) -> str:
        """The name of a feature: `disk`, the n-gram `[dis]`, the hashed n-grams `[bucket 7]`, the pair `hard disk`."""
        words = self.vocabulary.words
        if feature < len(words):
            return words[feature]
        if feature < self._first_pair:
            return self.tokenizer.name(feature - len(words))
        first, second = self.pairs.words(feature - self._first_pair)
        return f"{words[first]} {words[second]}"

    @cached_property
    def fingerprint(self) -> str:
        """A digest of everything that feature ids depend on, for cache keys."""
        digest = hashlib.sha256(self.kind.encode())
        for names in (self.vocabulary.words, self.tokenizer.ngrams):
            digest.update("\n".join(names).encode() + b"\0")
        digest.update(f"{self.tokenizer.sizes} {self.tokenizer.buckets}".encode() + b"\0")
        digest.update(self.pairs.keys.tobytes())
        return digest.hexdigest()

    def save(self, folder: Path) -> None:
        """Writes `words.json`, the files of `NgramTokenizer.save`, and `pairs.safetensors` where there are pairs."""
        self.vocabulary.save(folder / "words.json")
        self.tokenizer.save(folder)
        if len(self.pairs):
            self.pairs.save(folder / PAIRS)

    @classmethod
    def load(cls, folder: Path, kind: str, memory_map: bool = False) -> "Features":
        """Reads what `save` wrote; with `memory_map` words are read as they are needed, where there is a lookup."""
        is_mapped = memory_map and (folder / LOOKUP).exists()
        vocabulary = MappedVocabulary.open(folder) if is_mapped else WordVocabulary.load(folder / "words.json")
        pairs = WordPairs.load(folder / PAIRS, len(vocabulary)) if (folder / PAIRS).exists() else None
        return cls(kind, vocabulary, NgramTokenizer.load(folder), pairs)


def _collected(texts: Bags, features: Bags) -> Bags:
    """The `features` of the tokens of each text, sorted."""
    arrays = collected(features.ids, features.offsets, texts.ids, texts.offsets)
    return texts.expand(features).sorted_within() if arrays is None else Bags(*arrays)


def _check_kind(kind: str) -> None:
    if kind not in KINDS:
        raise InputError(f"kind={kind}: not one of {', '.join(KINDS)}")
