"""Pieces of words that stand for letter n-grams where a tokenizer cuts words into pieces that do not overlap.

A word is marked at both ends, so that whole words, beginnings and ends are pieces of their own. The row of a piece is
the sum of the n-grams that lie within it; those across two pieces are lost. Rows fitted to whole words by least squares
kept no more of the MRR, and were closer in angle by little.
"""

from collections import Counter

import numpy as np

from askagain.models.bag_encoder import BagEncoder
from askagain.text.bags import Bags
from askagain.text.ngrams import letter_ngrams

MARK = "▁"  # at both ends of a word, where letter n-grams have #
CONTINUING = "##"  # before pieces that do not begin a word, as WordPiece has it
LONGER_LETTERS, LONGER_PIECES = 4, 2_000  # pieces of so many letters: the most frequent ones in the known words


def marked(word: str) -> str:
    """A word with its marks."""
    return f"{MARK}{word}{MARK}"


def piece_rows(encoder: BagEncoder, words: list[str]) -> tuple[list[str], np.ndarray]:
    """Pieces for words that are not among `words`, as WordPiece spells them, and their rows, [pieces, dim] float32.

    Every single letter is a piece as well, with a row of zeros, so that each word of these letters can be cut up.
    """
    tokenizer = encoder.features.tokenizer
    ngrams = tokenizer.ngrams if tokenizer.buckets is None else _ngrams_of(words, tokenizer.sizes)
    pieces = dict.fromkeys(_with_marks(ngram) for ngram in ngrams)
    longer = Counter(piece for word in words for piece in _parts(marked(word), LONGER_LETTERS))
    pieces |= dict.fromkeys(piece for piece, _ in longer.most_common(LONGER_PIECES))
    pieces |= dict.fromkeys(part for piece in list(pieces) for size in (2, 1) for part in _parts(piece, size))
    kept = [piece for piece in pieces if not _is_whole_word(piece) and MARK not in piece[1:-1]]
    within = [
        tokenizer.ngram_indices([ngram for size in tokenizer.sizes for ngram in _parts(piece.replace(MARK, "#"), size)])
        for piece in kept
    ]
    bags = Bags.from_lists(within)
    rows = encoder.table.sums(Bags(bags.ids + len(encoder.features.vocabulary), bags.offsets))
    # A single letter may also stand where its word goes on.
    names = [piece if piece.startswith(MARK) else CONTINUING + piece for piece in kept]
    return [*names, CONTINUING + MARK], np.concatenate([rows, np.zeros((1, encoder.dim), dtype=np.float32)])


def _ngrams_of(words: list[str], sizes: tuple[int, ...]) -> list[str]:
    return list(dict.fromkeys(ngram for word in words for ngram in letter_ngrams(word, sizes)))


def _with_marks(ngram: str) -> str:
    """An n-gram with marks in place of # at its ends."""
    first = MARK if ngram[0] == "#" else ngram[0]
    last = MARK if ngram[-1] == "#" else ngram[-1]
    return first + ngram[1:-1] + last


def _parts(text: str, size: int) -> list[str]:
    return [text[start : start + size] for start in range(len(text) - size + 1)]


def _is_whole_word(piece: str) -> bool:
    return len(piece) > 1 and piece.startswith(MARK) and piece.endswith(MARK)
