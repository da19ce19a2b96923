"""Which scripts and languages texts are written in."""

import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path

import numpy as np

SURE = 0.8  # probability of a language that is counted
NO_LANGUAGE = "zxx"  # what py3langid calls numbers and codes
SAMPLED = 2_000  # texts whose language is looked at


def script_shares(texts: Iterable[str]) -> dict[str, float]:
    """The share of letters in each script, the most frequent first; emoji are a script of their own."""
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(filter(None, map(_script, text)))
    total = counts.total()
    return {name: count / total for name, count in counts.most_common()}


@cache  # there are only so many characters
def _script(character: str) -> str | None:
    """The first word of a letter's name in Unicode, such as Latin or Cyrillic; None for what is no letter."""
    category = unicodedata.category(character)
    if category == "So" and (ord(character) >= 0x1F000 or 0x2600 <= ord(character) < 0x27C0):
        return "Emoji"
    if not category.startswith("L"):
        return None
    name = unicodedata.name(character, "unknown").split()[0].capitalize()
    return "Chinese" if name == "Cjk" else name


def language_shares(texts: Sequence[str], seed: int = 0) -> dict[str, float]:
    """The share of texts in each language, by its code, of those whose language is plain; the most frequent first.

    Empty without the package py3langid, and where no text is long enough to tell.
    """
    try:
        import py3langid
        from py3langid.langid import MODEL_FILE, LanguageIdentifier
    except ImportError:
        return {}
    model = Path(py3langid.__file__).parent / MODEL_FILE
    identifier = LanguageIdentifier.from_modelpath(model, norm_probs=True)
    chosen = np.random.default_rng(seed).permutation(len(texts))[:SAMPLED].tolist()
    found = (identifier.classify(texts[index]) for index in chosen)
    counts = Counter(language for language, probability in found if probability >= SURE and language != NO_LANGUAGE)
    return {language: count / counts.total() for language, count in counts.most_common()}
