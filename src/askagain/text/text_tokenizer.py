"""Turns texts into bags of feature ids in memory, for texts that are in no token store."""

import threading
from collections.abc import Sequence
from itertools import islice
from typing import Any

import numpy as np

from askagain.native.texts import NOT_SIMPLE, UNKNOWN, NewTokens, TokenTable, WordTable, token_table, word_table
from askagain.text.bags import Bags, offsets_of
from askagain.text.features import Features
from askagain.text.preprocessor import TextPreprocessor

REMEMBERED_TOKENS = 1 << 20
MANY_NEW = 1 << 11  # tokens to learn, for which a table of all words is worth its while


class TextTokenizer:
    """Cleans texts and looks up their features; each distinct token, a piece between spaces, is cleaned once.

    The memory of tokens is emptied after a call that fills it with `remembered` tokens or more. Several threads may
    call a tokenizer. A copy starts with an empty memory. Tokens are numbered in C from the first call with many texts
    on for which there is a library, see `askagain.native.texts`.
    """

    def __init__(self, preprocessor: TextPreprocessor, features: Features, remembered: int = REMEMBERED_TOKENS) -> None:
        self.preprocessor = preprocessor
        self.features = features
        self._remembered = remembered
        self._lock = threading.Lock()
        self._numbers: _Numbers | TokenTable = _Numbers()
        # The features of the tokens in `_numbers` and, where there are pairs, the indices of their words.
        self._features = _RememberedBags()
        self._words = _RememberedBags() if len(features.pairs) else None
        self._word_table: WordTable | None = None

    def __call__(self, texts: Sequence[str]) -> Bags:
        """One bag of feature ids for each text, sorted so that equal bags are summed in the same order."""
        with self._lock:
            try:
                if isinstance(self._numbers, _Numbers) and self.preprocessor.by_token:
                    table = token_table(len(texts))
                    self._numbers = self._numbers if table is None else table
                return self._bags(texts)
            except BaseException:
                self._numbers.clear()  # new tokens may have no bag yet
                raise
            finally:
                # Later bags overwrite those of the forgotten tokens. Whole texts are not worth remembering.
                if len(self._numbers) >= self._remembered or not self.preprocessor.by_token:
                    self._numbers.clear()

    def _bags(self, texts: Sequence[str]) -> Bags:
        numbered = None
        table = self._numbers if isinstance(self._numbers, TokenTable) else None
        if table is not None:
            numbered = table.number(texts)
            if numbered is None:
                table, self._numbers = None, _Numbers()
        tokens, offsets, new = numbered or self._numbered(texts)
        self._learn(new)
        if table is not None and self._words is None:
            return Bags(*table.collected(*self._features.arrays, tokens, offsets))
        words = None if self._words is None else self._words.concatenate(tokens, offsets)
        return self.features.with_pairs(self._features.concatenate(tokens, offsets), words)

    def _numbered(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray, list[str]]:
        """What `TokenTable.number` returns, with the new tokens as strings."""
        assert isinstance(self._numbers, _Numbers)
        parts, lengths = self.preprocessor.tokens(texts)
        met = len(self._numbers)
        tokens = np.fromiter(map(self._numbers.__getitem__, parts), dtype=np.int64, count=len(parts))
        new = list(islice(reversed(self._numbers), len(self._numbers) - met))[::-1]
        return tokens, offsets_of(lengths), new

    def __reduce__(self) -> tuple[Any, ...]:
        return TextTokenizer, (self.preprocessor, self.features, self._remembered)

    def _learn(self, tokens: list[str] | NewTokens) -> None:
        """Adds the bags of new tokens to those in memory."""
        if not len(tokens):
            return
        known = len(self._numbers) - len(tokens)
        found = self._looked_up(tokens) if isinstance(tokens, NewTokens) else None
        if isinstance(tokens, NewTokens):
            tokens = tokens.strings(None if found is None else np.flatnonzero(found == NOT_SIMPLE))
        words, lengths = self.preprocessor.words_of_all(tokens)
        offsets = offsets_of(lengths)
        features = self.features.word_bags(words)
        bags = Bags(features.ids, features.offsets[offsets])
        self._features.put(known, bags if found is None else _with_words(found, bags, 0))
        if self._words is not None:
            numbers = Bags(self.features.vocabulary.indices(words), offsets)
            self._words.put(known, numbers if found is None else _with_words(found, numbers, UNKNOWN))

    def _looked_up(self, tokens: NewTokens) -> np.ndarray | None:
        """What `WordTable.find` returns; None for few tokens, and where words have to be cleaned or spelled."""
        others, is_spelled = self.preprocessor.not_simple, self.features.spells_unknown
        if len(tokens) < MANY_NEW or others is None or self.features.spells_known:
            return None
        if self._word_table is None:
            settings = (self.preprocessor.lowercase, self.preprocessor.min_word_length)
            self._word_table = word_table(self.features.vocabulary.words, others, *settings)
        if self._word_table is None:
            return None
        found = self._word_table.find(tokens)
        if is_spelled:
            found[found == UNKNOWN] = NOT_SIMPLE
        return found


class _Numbers(dict[str, int]):
    """Numbers tokens in the order of their first lookup."""

    def __missing__(self, token: str) -> int:
        number = self[token] = len(self)
        return number


def _with_words(found: np.ndarray, others: Bags, lowest: int) -> Bags:
    """The bags of all tokens: one index for those that were `found`, from `lowest` on, and those of the `others`."""
    is_single = found >= lowest
    lengths = is_single.astype(np.int64)
    lengths[found == NOT_SIMPLE] = others.lengths
    bags = Bags(np.empty(int(lengths.sum()), dtype=np.int32), offsets_of(lengths))
    is_other = np.ones(len(bags.ids), dtype=bool)
    is_other[bags.offsets[:-1][is_single]] = False
    bags.ids[~is_other], bags.ids[is_other] = found[is_single], others.ids
    return bags


class _RememberedBags:
    """Bags in arrays of ids and offsets that have room to grow."""

    def __init__(self) -> None:
        self._ids = np.zeros(0, dtype=np.int32)
        self._offsets = np.zeros(1, dtype=np.int64)

    def put(self, known: int, new: Bags) -> None:
        """Writes bags after the first `known` ones."""
        start = int(self._offsets[known])
        self._ids = _with_room(self._ids, start + len(new.ids))
        self._ids[start : start + len(new.ids)] = new.ids
        self._offsets = _with_room(self._offsets, known + len(new) + 1)
        self._offsets[known : known + len(new) + 1] = start + new.offsets

    @property
    def arrays(self) -> tuple[np.ndarray, np.ndarray]:
        """The ids, int32, and the offsets, int64, of all bags."""
        return self._ids, self._offsets

    def concatenate(self, bags: np.ndarray, offsets: np.ndarray) -> Bags:
        """Concatenates the bags of the tokens of each text; `offsets` are those of texts among tokens."""
        taken = Bags(self._ids, self._offsets).take(bags)
        return Bags(taken.ids, taken.offsets[offsets])


def _with_room(array: np.ndarray, size: int) -> np.ndarray:
    """The array, or a copy of at least `size` and twice its length, so that copies are rare."""
    return array if size <= len(array) else np.resize(array, max(size, 2 * len(array)))
