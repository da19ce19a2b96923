"""The terms by which two texts are called alike: words, and pairs of letters where a script writes no spaces."""

import re

from askagain.text.languages import RUN, UNSPACED, letter_pairs

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
    distinct = set(WORD.findall(text))
    distinct.update(sign for sign in map(str.strip, SIGNS.findall(text)) if sign.strip(END_MARKS))
    for run in RUN.findall(text):
        distinct.update(letter_pairs(run))
    return distinct


def are_near(one: set[str], other: set[str], threshold: float) -> bool:
    """Whether two texts share `threshold` or more of all their terms (Jaccard's index)."""
    return bool(one) and len(one & other) >= threshold * len(one | other)
