"""The words of texts, before any vocabulary, by way of their tokens.

A token is what stands between two spaces of a text as it was written. A corpus has far fewer distinct tokens than
tokens, and each distinct one is cleaned once.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from askagain.text.bags import Bags, offsets_of
from askagain.text.preprocessor import TextPreprocessor
from askagain.text.vocabulary import WordVocabulary

TOKENS_A_BLOCK = 1 << 14  # cleaned as one


@dataclass(frozen=True, eq=False)
class TokenWords:
    """`words`: the distinct words in the order of their first use. `of_tokens`: one bag of word indices for each
    distinct token. `counts`: [words] int64, how often each word occurs.
    """

    words: list[str]
    of_tokens: Bags
    counts: np.ndarray

    @property
    def total(self) -> int:
        """How many words there are, each as often as it occurs."""
        return int(self.counts.sum())

    def known_share(self, vocabulary: WordVocabulary) -> float:
        """The share of word occurrences that the vocabulary knows (1.0 where there is no word at all)."""
        known = vocabulary.indices(self.words) >= 0
        return float(np.average(known, weights=self.counts)) if self.total else 1.0

    def numbered(self, vocabulary: WordVocabulary) -> Bags:
        """One bag for each distinct token, of the numbers of its words in `vocabulary`, -1 for an unknown one."""
        return Bags(vocabulary.indices(self.words)[self.of_tokens.ids], self.of_tokens.offsets)


def token_words(tokens: Iterable[str], token_counts: np.ndarray, preprocessor: TextPreprocessor) -> TokenWords:
    """Cleans and splits each of the distinct tokens; `token_counts` ([tokens]) says how often each occurs."""
    index: dict[str, int] = {}
    numbers, lengths = [np.zeros(0, dtype=np.int32)], [np.zeros(0, dtype=np.int64)]
    tokens = iter(tokens)
    while some := list(islice(tokens, TOKENS_A_BLOCK)):
        words, words_of_each = preprocessor.words_of_all(some)
        numbers.append(np.fromiter((index.setdefault(word, len(index)) for word in words), np.int32, len(words)))
        lengths.append(words_of_each)
    of_tokens = Bags(np.concatenate(numbers), offsets_of(np.concatenate(lengths)))
    counts = np.bincount(of_tokens.ids, np.repeat(token_counts, of_tokens.lengths), minlength=len(index))
    return TokenWords(list(index), of_tokens, counts.astype(np.int64))


def all_words(several: Sequence[TokenWords]) -> TokenWords:
    """The words of several, counted together; the tokens of one after those of the other."""
    index: dict[str, int] = {}
    numbers = [np.array([index.setdefault(word, len(index)) for word in one.words], dtype=np.int32) for one in several]
    counts = np.zeros(len(index), dtype=np.int64)
    for one, places in zip(several, numbers, strict=True):
        counts[places] += one.counts
    ids = [places[one.of_tokens.ids] for one, places in zip(several, numbers, strict=True)]
    lengths = np.concatenate([one.of_tokens.lengths for one in several])
    return TokenWords(list(index), Bags(np.concatenate(ids), offsets_of(lengths)), counts)
