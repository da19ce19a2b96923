"""One row a word: what formats get that know whole words only, with the letter n-grams of each word folded in."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from askagain.errors import InputError
from askagain.export.lines import read_lines
from askagain.models.bag_encoder import BagEncoder
from askagain.text.fields import MARK


def known_words(encoder: BagEncoder) -> list[str]:
    """The words of an encoder's vocabulary, without those of further fields."""
    return [word for word in encoder.features.vocabulary.words if not MARK.match(word)]


def word_rows(encoder: BagEncoder, words: Sequence[str]) -> np.ndarray:
    """What each word adds to the sum of a text, [words, dim] float32: its own row and those of its n-grams.

    Zero for a word of which nothing is known. Word pairs add nothing, since a single word is in none.
    """
    return encoder.table.sums(encoder.features.word_bags(words))


def further_words(encoder: BagEncoder, path: Path | None) -> list[str]:
    """The words of a file, one a line, as the encoder spells them, without those that it knows or has no vector for.

    Raises InputError where the file cannot be read.
    """
    if path is None:
        return []
    known = set(encoder.features.vocabulary.words)
    spelled = (word for line in read_lines(path) for word in encoder.preprocessor.words(line))
    words = [word for word in dict.fromkeys(spelled) if word not in known]
    with_vector = np.flatnonzero(word_rows(encoder, words).any(axis=1))
    return [words[place] for place in with_vector.tolist()]


def word_table(encoder: BagEncoder, path: Path | None) -> tuple[list[str], np.ndarray]:
    """The known words and those of a file, and their rows, [words, dim] float32; see `further_words`.

    Raises InputError where there is no word at all.
    """
    words = known_words(encoder) + further_words(encoder, path)
    if not words:
        raise InputError("the encoder knows letter n-grams and no words; list words for it with --words FILE")
    return words, word_rows(encoder, words)
