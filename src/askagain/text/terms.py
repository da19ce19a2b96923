"""The terms by which two texts are called alike: words, and pairs of letters where a script writes no spaces."""

import re
from itertools import pairwise

# Chinese characters, kana, Thai, Lao, Myanmar and Khmer: their words are not told apart by spaces.
UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
UNSPACED += "\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003ffff"
RUN = re.compile(f"[{UNSPACED}]+")
WORD = re.compile(rf"[^\W{UNSPACED}]+(?:[+#]+(?!\w))?")
SIGNS = re.compile(r"(?<!\S)[^\w\s]+(?!\S)")
END_MARKS = " ?!.…？！。"


def alike_key(text: str) -> str:
    """What texts have in common that differ in case, white space or the marks at their end alone."""
    folded = " ".join(text.casefold().split())
    return folded.rstrip(END_MARKS) or folded


def terms(text: str) -> set[str]:
    """The distinct terms of a text, in lower case; there may be none.

    A sign that stands alone is a term too, but for the marks that end a sentence.

    >>> sorted(terms("What is C++?"))
    ['c++', 'is', 'what']
    >>> sorted(terms("如何退出"))
    ['何退', '如何', '退出']
    """
    text = text.casefold()
    found = set(WORD.findall(text))
    found.update(sign for sign in map(str.strip, SIGNS.findall(text)) if sign.strip(END_MARKS))
    for run in RUN.findall(text):
        found.update([run] if len(run) == 1 else map("".join, pairwise(run)))
    return found


def are_near(one: set[str], other: set[str], threshold: float) -> bool:
    """Whether two texts share `threshold` or more of all their terms (Jaccard's index)."""
    return bool(one) and len(one & other) >= threshold * len(one | other)
