"""Cleans distinct tokens into words and counts the words.

Tokens are the space-separated pieces of a text as it was written; words are what cleaning makes of them. A corpus has
far fewer distinct tokens than tokens.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from askagain.text.bags import Bags, offsets_of
from askagain.text.preprocessor import TextPreprocessor
from askagain.text.vocabulary import WordVocabulary

TOKENS_PER_BLOCK = 1 << 14  # cleaned together


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


def token_words(tokens: Iterable[str], token_counts: np.ndarray, preprocessor: TextPreprocessor) -> TokenWords:
    """Cleans distinct tokens; `token_counts`, [tokens], says how often each occurs."""
    index: dict[str, int] = {}
    numbers, lengths = [np.zeros(0, dtype=np.int32)], [np.zeros(0, dtype=np.int64)]
    tokens = iter(tokens)
    while block := list(islice(tokens, TOKENS_PER_BLOCK)):
        words, words_per_token = preprocessor.words_of_all(block)
        numbers.append(np.fromiter((index.setdefault(word, len(index)) for word in words), np.int32, len(words)))
        lengths.append(words_per_token)
    bags = Bags(np.concatenate(numbers), offsets_of(np.concatenate(lengths)))
    counts = np.bincount(bags.ids, np.repeat(token_counts, bags.lengths), minlength=len(index))
    return TokenWords(list(index), bags, counts.astype(np.int64))


def all_words(parts: Sequence[TokenWords]) -> TokenWords:
    """Merges the words of several sets of tokens and adds up their counts."""
    index: dict[str, int] = {}
    numbers = [np.array([index.setdefault(word, len(index)) for word in one.words], dtype=np.int32) for one in parts]
    counts = np.zeros(len(index), dtype=np.int64)
    for one, places in zip(parts, numbers, strict=True):
        counts[places] += one.counts
    ids = [places[one.bags.ids] for one, places in zip(parts, numbers, strict=True)]
    lengths = np.concatenate([one.bags.lengths for one in parts])
    return TokenWords(list(index), Bags(np.concatenate(ids), offsets_of(lengths)), counts)
