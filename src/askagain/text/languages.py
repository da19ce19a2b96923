"""What the scripts of other languages need: pairs of letters where no spaces are written, and marks that few write."""

import re
from collections.abc import Iterator
from itertools import pairwise

# Chinese characters, kana, Thai, Lao, Myanmar and Khmer: their words are not told apart by spaces.
UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
UNSPACED += "\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003ffff"
EMOJI = "\u2600-\u27bf\U0001f000-\U0001faff"
RUN = re.compile(f"[{UNSPACED}]+")
UNUSUAL = re.compile(f"[{UNSPACED}{EMOJI}]")
PARTS = re.compile(f"[{UNSPACED}]+|[{EMOJI}][{EMOJI}\u200d]*|[^{UNSPACED}{EMOJI}]+")
# Vowel signs of Arabic, its stretching sign, and points of Hebrew: dictionaries and prayer books have them, questions
# rarely do. Russian writes ё as е as often as not.
MARKS = re.compile(
    "[\u0610-\u061a\u0640\u064b-\u065f\u0670\u06d6-\u06dc\u06df-\u06e8\u06ea-\u06ed"
    "\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7]"
)


def letter_pairs(run: str) -> list[str]:
    """The overlapping pairs of letters of a run of them, or the run itself where it is a single one.

    Source: bigrams as words of Chinese and Japanese, as in Lucene's CJKBigramFilter.
    """
    return [run] if len(run) == 1 else [one + other for one, other in pairwise(run)]


def unspaced_parts(word: str) -> Iterator[str]:
    """The parts of a word: pairs of letters of scripts without spaces, emoji, and everything else as it stands.

    >>> list(unspaced_parts("vim如何退出"))
    ['vim', '如何', '何退', '退出']
    """
    for part in PARTS.findall(word):
        if RUN.match(part):
            yield from letter_pairs(part)
        else:
            yield part


def fold_marks(text: str) -> str:
    """The text without the vowel marks of Arabic and Hebrew, and with е for ё."""
    if text.isascii():
        return text
    return MARKS.sub("", text).replace("ё", "е").replace("Ё", "Е")
