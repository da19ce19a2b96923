"""Numbers the distinct tokens of texts, in C where there is a library for it."""

from collections.abc import Callable, Sequence
from itertools import islice

import numpy as np

from askagain.native.texts import NewTokens, TokenTable, token_table
from askagain.text.bags import offsets_of
from askagain.text.preprocessor import TextPreprocessor

Split = Callable[[Sequence[str]], tuple[Sequence[str], np.ndarray]]


class TokenNumbers:
    """Numbers distinct tokens, pieces between spaces, from 0 on in the order of their first occurrence.

    They are numbered in C from the first call with many texts on for which there is a library, see
    `askagain.native.texts`; then all that were known are forgotten.

    Args:
        preprocessor: That the tokens are for.
        across_spaces: The pieces that are numbered where a word may reach across a space, and how many each text has
            (None: whole texts).
    """

    def __init__(self, preprocessor: TextPreprocessor, across_spaces: Split | None = None) -> None:
        self._by_token = preprocessor.by_token
        self._split = preprocessor.tokens if self._by_token or across_spaces is None else across_spaces
        self._numbers: _Numbers | TokenTable = _Numbers()

    def __len__(self) -> int:
        return len(self._numbers)

    @property
    def table(self) -> TokenTable | None:
        """The table in C, if that is what the last texts were numbered with."""
        return self._numbers if isinstance(self._numbers, TokenTable) else None

    def clear(self) -> None:
        """Forgets all tokens."""
        self._numbers.clear()

    def number(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray, NewTokens | list[str]]:
        """The number of each token, where those of each text begin, [texts + 1], and the new tokens.

        The new ones have the last numbers.
        """
        if self.table is None and self._by_token:
            table = token_table(len(texts))
            self._numbers = self._numbers if table is None else table
        if self.table is not None:
            numbered = self.table.number(texts)
            if numbered is not None:
                return numbered
            self._numbers = _Numbers()
        assert isinstance(self._numbers, _Numbers)
        parts, lengths = self._split(texts)
        met = len(self._numbers)
        tokens = np.fromiter(map(self._numbers.__getitem__, parts), dtype=np.int64, count=len(parts))
        new = list(islice(reversed(self._numbers), len(self._numbers) - met))[::-1]
        return tokens, offsets_of(lengths), new


class _Numbers(dict[str, int]):
    """Numbers tokens in the order of their first lookup."""

    def __missing__(self, token: str) -> int:
        number = self[token] = len(self)
        return number
