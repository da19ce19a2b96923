"""Cleans distinct tokens into words and counts the words.

Tokens are the space-separated pieces of a text as it was written; words are what cleaning makes of them. A corpus has
far fewer distinct tokens than tokens.
"""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from askagain.text.bags import Bags, offsets_of
from askagain.text.preprocessor import TextPreprocessor
from askagain.text.vocabulary import WordVocabulary

TOKENS_PER_BLOCK = 1 << 14  # cleaned together
MOST_WORDS = 10_000_000  # that are counted; bounds the memory
SLACK = 1.5  # times as many are known before the rarest are forgotten
FORGOTTEN = -1

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class TokenWords:
    """The words of distinct tokens.

    `words`: the distinct words in the order of their first use. `bags`: one bag of indices into `words` for each
    token. `counts`: how often each word occurs, [words] int64.
    """

    words: list[str]
    bags: Bags
    counts: np.ndarray

    @property
    def total(self) -> int:
        """The number of words, each counted as often as it occurs."""
        return int(self.counts.sum())

    def known_share(self, vocabulary: WordVocabulary) -> float:
        """The share of word occurrences that are in the vocabulary; 1.0 where there are no words."""
        known = vocabulary.indices(self.words) >= 0
        return float(np.average(known, weights=self.counts)) if self.total else 1.0

    def numbered(self, vocabulary: WordVocabulary) -> Bags:
        """One bag of word indices in `vocabulary` for each token, -1 for unknown words."""
        return Bags(vocabulary.indices(self.words)[self.bags.ids], self.bags.offsets)


class _WordCounter:
    """Numbers words in the order of their first use and counts them; of more than `most` the rarest are forgotten.

    `parts`: the numbers of the words of each call of `add`, `FORGOTTEN` for those that were. `forgotten`: how many
    were, and `most_count`: how often one of them had occurred.
    """

    def __init__(self, most: int) -> None:
        self.index: dict[str, int] = {}
        self.parts = [np.zeros(0, dtype=np.int32)]
        self.forgotten = self.most_count = 0
        self._counts = np.zeros(TOKENS_PER_BLOCK, dtype=np.int64)
        self._most = most

    @property
    def counts(self) -> np.ndarray:
        """How often each word that is known occurs, [words] int64."""
        return self._counts[: len(self.index)]

    def add(self, words: list[str], counts: np.ndarray) -> None:
        """`counts`, [words], says how often each occurs."""
        index = self.index
        numbers = np.fromiter((index.setdefault(word, len(index)) for word in words), np.int32, len(words))
        if len(index) > len(self._counts):
            self._counts = np.append(self._counts, np.zeros(len(index), dtype=np.int64))
        np.add.at(self._counts, numbers, counts)
        self.parts.append(numbers)
        if len(index) > SLACK * self._most:
            self.forget()

    def forget(self) -> None:
        """Forgets those of too many words that have occurred least so far, of equals the later ones."""
        known = len(self.index)
        if known <= self._most:
            return
        order = np.argsort(-self.counts, kind="stable")
        kept = np.sort(order[: self._most])
        self.forgotten += known - self._most
        self.most_count = max(self.most_count, int(self._counts[order[self._most]]))
        renumbered = np.full(known + 1, FORGOTTEN, dtype=np.int32)  # the last is for those that were forgotten before
        renumbered[kept] = np.arange(self._most)
        self.parts = [renumbered[part] for part in self.parts]
        words = list(self.index)
        self.index = {words[old]: new for new, old in enumerate(kept.tolist())}
        self._counts = self._counts[kept]


def token_words(
    tokens: Iterable[str], token_counts: np.ndarray, preprocessor: TextPreprocessor, most_words: int = MOST_WORDS
) -> TokenWords:
    """Cleans tokens; `token_counts`, [tokens], says how often each occurs.

    Of more than `most_words` different words the rarest are forgotten, which is logged: no token has them. Half as many
    again are known at most, of which those with the lowest counts so far go. A forgotten word that comes again, in
    another token, is counted from there on.
    """
    counter = _WordCounter(most_words)
    lengths = [np.zeros(0, dtype=np.int64)]
    tokens, cleaned = iter(tokens), 0
    while block := list(islice(tokens, TOKENS_PER_BLOCK)):
        words, words_per_token = preprocessor.words_of_all(block)
        counter.add(words, np.repeat(token_counts[cleaned : cleaned + len(block)], words_per_token))
        lengths.append(words_per_token)
        cleaned += len(block)
    counter.forget()
    ids, offsets = np.concatenate(counter.parts), offsets_of(np.concatenate(lengths))
    if counter.forgotten:
        log.warning(
            "more than %s different words: %s were forgotten, none of which had occurred more than %d times; texts "
            "have no features of theirs",
            f"{most_words:,}",
            f"{counter.forgotten:,}",
            counter.most_count,
        )
        known = ids != FORGOTTEN
        ids, offsets = ids[known], offsets_of(known)[offsets]
    return TokenWords(list(counter.index), Bags(ids, offsets), counter.counts)


def all_words(parts: Sequence[TokenWords]) -> TokenWords:
    """Merges the words of several sets of tokens and adds up their counts."""
    index: dict[str, int] = {}
    numbers = [np.array([index.setdefault(word, len(index)) for word in one.words], dtype=np.int32) for one in parts]
    counts = np.zeros(len(index), dtype=np.int64)
    for one, places in zip(parts, numbers, strict=True):
        counts[places] += one.counts
    bags = [Bags(places[one.bags.ids], one.bags.offsets) for one, places in zip(parts, numbers, strict=True)]
    return TokenWords(list(index), Bags.concatenated(bags), counts)
