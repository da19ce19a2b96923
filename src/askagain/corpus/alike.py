"""Hashes of what texts share that differ in case, white space or the marks at their end, without putting them together.

Each distinct token is folded once. The hash of a text is mixed from those of its folded tokens, in order.
"""

from collections.abc import Iterable
from itertools import islice

import numpy as np

from askagain.corpus.cells import LENGTH_FACTOR, WORD_FACTOR, text_hashes
from askagain.native import store
from askagain.text.bags import Bags, offsets_of
from askagain.text.fields import MARKED
from askagain.text.terms import END_MARKS

TOKENS_PER_BLOCK = 1 << 14  # folded together


class AlikeTokens:
    """The folded tokens of a token store: texts whose `askagain.text.terms.alike_key` is equal have equal hashes.

    Further fields of a question are left out. `tokens`: in the order of their numbers.
    """

    def __init__(self, tokens: Iterable[str]) -> None:
        lengths = [np.zeros(0, dtype=np.int64)]
        # A token has more than one part, or none, where it holds white space other than the space.
        full, bare = [np.zeros(0, dtype=np.uint64)], [np.zeros(0, dtype=np.uint64)]
        is_word = [np.zeros(0, dtype=bool)]
        tokens = iter(tokens)
        while block := list(islice(tokens, TOKENS_PER_BLOCK)):
            folded = [MARKED.sub("", token).casefold().split() for token in block]
            lengths.append(np.fromiter(map(len, folded), dtype=np.int64, count=len(folded)))
            parts = [part for token in folded for part in token]
            stripped = [part.rstrip(END_MARKS) for part in parts]
            full.append(text_hashes(parts))
            bare.append(text_hashes(stripped))
            is_word.append(np.fromiter(map(bool, stripped), dtype=bool, count=len(parts)))
        self._full, self._bare, self._is_word = map(np.concatenate, (full, bare, is_word))
        self._parts = Bags(np.arange(len(self._full), dtype=np.int32), offsets_of(np.concatenate(lengths)))

    def hashes(self, texts: Bags) -> np.ndarray:
        """The hash of each text, [texts] uint64; `texts`: bags of token numbers in the order of the text."""
        mixed = store.mixed_parts(self._parts.offsets, self._full, self._bare, self._is_word, texts.ids, texts.offsets)
        return self._mixed(texts.expand(self._parts)) if mixed is None else mixed

    def _mixed(self, parts: Bags) -> np.ndarray:
        """The hash of each text from its parts."""
        firsts, lengths = parts.offsets[:-1], parts.lengths
        places, first = np.arange(len(parts.ids)), np.repeat(firsts, lengths)
        filled = lengths > 0
        # What follows the last word are marks at the end, unless there is no word at all.
        last = np.full(len(parts), len(parts.ids))
        word_places = np.where(self._is_word[parts.ids], places, -1)
        last[filled] = np.maximum.reduceat(word_places, firsts[filled]) if filled.any() else 0
        last = np.where(last < firsts, len(parts.ids), last)
        last = np.repeat(last, lengths)
        mixed = np.where(places == last, self._bare[parts.ids], self._full[parts.ids])
        mixed = (mixed ^ (places - first + 1).astype(np.uint64) * LENGTH_FACTOR) * WORD_FACTOR
        mixed ^= mixed >> np.uint64(32)
        mixed[places > last] = 0
        hashes = np.zeros(len(parts), dtype=np.uint64)
        hashes[filled] = np.add.reduceat(mixed, firsts[filled]) if filled.any() else 0
        return hashes
