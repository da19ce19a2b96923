"""Texts as bags of words, before any vocabulary: the distinct words, and each text's words as indices into them."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from askagain.text.bags import Bags
from askagain.text.preprocessor import TextPreprocessor
from askagain.text.vocabulary import WordVocabulary


@dataclass(frozen=True, eq=False)
class WordBags:
    """`words`: the distinct words in the order of their first use. `bags`: one bag of word indices a text."""

    words: list[str]
    bags: Bags

    @property
    def counts(self) -> np.ndarray:
        """How often each word occurs, [len(words)]."""
        return np.bincount(self.bags.ids, minlength=len(self.words))

    def known_share(self, vocabulary: WordVocabulary) -> float:
        """The share of word occurrences that the vocabulary knows (1.0 where there is no word at all)."""
        known = vocabulary.indices(self.words) >= 0
        return float(np.average(known, weights=self.counts)) if len(self.bags.ids) else 1.0


def word_bags(texts: Iterable[str], preprocessor: TextPreprocessor) -> WordBags:
    """Cleans and splits each text once."""
    index: dict[str, int] = {}
    lists = [[index.setdefault(word, len(index)) for word in preprocessor.words(text)] for text in texts]
    return WordBags(list(index), Bags.from_lists(lists))
