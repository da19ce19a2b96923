"""Turns texts into bags of feature ids in memory, for texts that are in no token store."""

import threading
from collections.abc import Sequence
from typing import Any

import numpy as np

from askagain.native.texts import NOT_SIMPLE, UNKNOWN, NewTokens, WordTable, word_table
from askagain.text.bags import Bags, offsets_of
from askagain.text.features import Features
from askagain.text.preprocessor import TextPreprocessor
from askagain.text.remembered_bags import RememberedBags
from askagain.text.token_numbers import TokenNumbers

REMEMBERED_TOKENS = 1 << 20
MANY_NEW = 1 << 11  # tokens to learn at a time, for which a table of all words is used
WORDS_A_TOKEN = 8  # of a vocabulary, for each token that is known, at which such a table is worth making


class TextTokenizer:
    """Cleans texts and looks up their features; each distinct token, a piece between spaces, is cleaned once.

    The memory of tokens is emptied after a call that fills it with `remembered` tokens or more. Several threads may
    call a tokenizer. A copy starts with an empty memory.
    """

    def __init__(self, preprocessor: TextPreprocessor, features: Features, remembered: int = REMEMBERED_TOKENS) -> None:
        self.preprocessor = preprocessor
        self.features = features
        self._remembered = remembered
        self._lock = threading.Lock()
        self._numbers = TokenNumbers(preprocessor)
        # The features of the tokens in `_numbers` and, where there are pairs, the indices of their words.
        self._features = RememberedBags()
        self._words = RememberedBags() if len(features.pairs) else None
        self._word_table: WordTable | None = None

    def __call__(self, texts: Sequence[str]) -> Bags:
        """One bag of feature ids for each text, sorted so that equal bags are summed in the same order."""
        with self._lock:
            try:
                return self._bags(texts)
            except BaseException:
                self._numbers.clear()  # new tokens may have no bag yet
                raise
            finally:
                # Later bags overwrite those of the forgotten tokens. Whole texts are not worth remembering.
                if len(self._numbers) >= self._remembered or not self.preprocessor.by_token:
                    self._numbers.clear()

    def _bags(self, texts: Sequence[str]) -> Bags:
        tokens, offsets, new = self._numbers.number(texts)
        self._learn(new)
        if self._numbers.table is not None and self._words is None:
            return Bags(*self._numbers.table.collected(*self._features.arrays, tokens, offsets))
        words = None if self._words is None else self._words.concatenate(tokens, offsets)
        return self.features.with_pairs(self._features.concatenate(tokens, offsets), words)

    def __reduce__(self) -> tuple[Any, ...]:
        return TextTokenizer, (self.preprocessor, self.features, self._remembered)

    def _learn(self, tokens: list[str] | NewTokens) -> None:
        """Adds the bags of new tokens to those in memory."""
        if not len(tokens):
            return
        known = len(self._numbers) - len(tokens)
        indices = self._looked_up(tokens) if isinstance(tokens, NewTokens) else None
        if isinstance(tokens, NewTokens):
            tokens = tokens.strings(None if indices is None else np.flatnonzero(indices == NOT_SIMPLE))
        words, lengths = self.preprocessor.words_of_all(tokens)
        offsets = offsets_of(lengths)
        features = self.features.word_bags(words)
        bags = Bags(features.ids, features.offsets[offsets])
        self._features.put(known, bags if indices is None else _with_words(indices, bags, 0))
        if self._words is not None:
            numbers = Bags(self.features.vocabulary.indices(words), offsets)
            self._words.put(known, numbers if indices is None else _with_words(indices, numbers, UNKNOWN))

    def _looked_up(self, tokens: NewTokens) -> np.ndarray | None:
        """What `WordTable.find` returns; None for few tokens, and where words have to be cleaned or spelled."""
        others, is_spelled = self.preprocessor.not_simple, self.features.spells_unknown
        if len(tokens) < MANY_NEW or others is None or self.features.spells_known:
            return None
        if self._word_table is None:
            if WORDS_A_TOKEN * len(self._numbers) < len(self.features.vocabulary):
                return None
            settings = (self.preprocessor.lowercase, self.preprocessor.min_word_length)
            self._word_table = word_table(self.features.vocabulary.words, others, *settings)
        if self._word_table is None:
            return None
        indices = self._word_table.find(tokens)
        if is_spelled:
            indices[indices == UNKNOWN] = NOT_SIMPLE
        return indices


def _with_words(indices: np.ndarray, others: Bags, lowest: int) -> Bags:
    """The bags of all tokens: one index where it is at least `lowest`, and those of the `others`."""
    is_single = indices >= lowest
    lengths = is_single.astype(np.int64)
    lengths[indices == NOT_SIMPLE] = others.lengths
    bags = Bags(np.empty(int(lengths.sum()), dtype=np.int32), offsets_of(lengths))
    is_other = np.ones(len(bags.ids), dtype=bool)
    is_other[bags.offsets[:-1][is_single]] = False
    bags.ids[~is_other], bags.ids[is_other] = indices[is_single], others.ids
    return bags
