"""Texts as bags of words, before any vocabulary: the tokens of each text, and the words that each token stands for.

A token is what stands between two spaces of a text as it was written. A corpus has far fewer distinct tokens than
tokens, and each distinct one is cleaned once.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np

from askagain.text.bags import Bags, offsets_of
from askagain.text.preprocessor import TextPreprocessor
from askagain.text.vocabulary import WordVocabulary


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


def token_words(tokens: Iterable[str], token_counts: np.ndarray, preprocessor: TextPreprocessor) -> TokenWords:
    """Cleans and splits each of the distinct tokens; `token_counts` ([tokens]) says how often each occurs."""
    index: dict[str, int] = {}
    lists = [[index.setdefault(word, len(index)) for word in preprocessor.words(token)] for token in tokens]
    of_tokens = Bags.from_lists(lists)
    counts = np.bincount(of_tokens.ids, np.repeat(token_counts, of_tokens.lengths), minlength=len(index))
    return TokenWords(list(index), of_tokens, counts.astype(np.int64))


def token_bags(texts: Sequence[str], preprocessor: TextPreprocessor) -> tuple[list[str], Bags]:
    """The distinct tokens of some texts in the order of their first use, and one bag of token indices a text."""
    lists = [preprocessor.tokens(text) for text in texts]
    tokens = list(chain.from_iterable(lists))
    distinct = list(dict.fromkeys(tokens))
    index = dict(zip(distinct, range(len(distinct)), strict=True))
    ids = np.fromiter(map(index.__getitem__, tokens), dtype=np.int32, count=len(tokens))
    lengths = np.fromiter(map(len, lists), dtype=np.int64, count=len(lists))
    return distinct, Bags(ids, offsets_of(lengths))
