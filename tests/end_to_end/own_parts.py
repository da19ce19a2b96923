"""A metric and a word splitter of a user's own, as a module of theirs would hold them."""

import re

import numpy as np

from askagain.ranking.ranks import Ranks
from askagain.text.preprocessor import WordSplitter


def is_first(ranks: Ranks) -> np.ndarray:
    """1 for a query whose duplicate is ranked first, by itself."""
    return (ranks.above + ranks.tied == 0).astype(np.float64)


def too_short(ranks: Ranks) -> np.ndarray:
    """No metric: one number for all queries."""
    return np.zeros(1)


class CamelCase(WordSplitter):
    """Splits at spaces and before capital letters; drops words shorter than `shortest`."""

    def __init__(self, shortest: int = 1) -> None:
        self.shortest = shortest

    def __call__(self, text: str) -> list[str]:
        words = re.findall(r"[A-Z]?[^\sA-Z]+|[A-Z]", text)
        return [word for word in words if len(word) >= self.shortest]
