"""Writes a synthetic corpus of any size with the word statistics of a real one, to measure time and memory.

Its words are invented. A concept is two words of the same meaning, and concepts have Zipf frequencies. The questions of
a group state the same concepts in different orders and with either word, so duplicates can be learned.
"""

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from askagain.corpus.cache import Cache
from askagain.errors import InputError
from askagain.files.progress import with_progress
from askagain.files.writing import write_text

CHUNK_QUESTIONS = 200_000
WORDS_A_CONCEPT = 2
CONCEPTS_A_GROUP = 6  # a question states all of them or all but one
MEAN_GROUP_SIZE = 3.5  # groups have 2, 3, 4 or 5 questions, all equally likely
ZIPF_SHIFT = 10.0  # Zipf-Mandelbrot: the concept of rank r has frequency 1 / (r + shift)
SECOND_WORD_SHARE = 0.35  # how often a concept is stated by its second word
STRAY_SHARE = 0.1  # how often a question replaces a concept of its group by another

# Stop words only: the content words are the invented ones.
OPENINGS = ("", "", "", "how to ", "how do i ", "how can i ", "what is the ", "why does the ", "is it ", "can i ")
JOINERS = ("", "", "", "", "", " a", " the", " in", " of", " to", " with", " for", " and", " on", " from")

ONSETS = "bdfgklmnprstvz"
VOWELS = "aeiou"
LAST_VOWELS = "aiou"  # no word ends like "more" or "never", so none is an English stop word
CODAS = ("", "k", "l", "m", "n", "p", "r", "s", "t")
SHORT_WORDS_SHARE = 0.1  # of the vocabulary: the frequent words have two syllables, the others three


def write_scaled(
    folder: Path,
    rows: int,
    validation_rows: int,
    candidates: int,
    pool: int,
    seed: int,
    vocabulary: int,
    chunk_questions: int = CHUNK_QUESTIONS,
) -> None:
    """Writes synthetic `train.tsv`, `validation.tsv` and `test.tsv`, each whole or not at all, with a progress bar.

    Args:
        folder: of the files; it is made if it is missing.
        rows: lines of `train.tsv`, each a group of 2 to 5 questions of 5 or 6 content words.
        validation_rows: lines of `validation.tsv` and of `test.tsv`, each from a group of its own.
        candidates: of a row, the duplicate and its negatives.
        pool: questions, each of a group of its own, that the negatives of a file are drawn from.
        seed: of the generator; every file has its own sequence and does not depend on the size of the others.
        vocabulary: distinct words; a small corpus shows fewer of them.
        chunk_questions: questions of `train.tsv` that are drawn and written together; bounds the memory.

    Raises:
        InputError: a number is too small, or the vocabulary is larger than all words that can be invented.
    """
    if pool < candidates - 1:
        raise InputError(f"pool={pool}: must be at least {candidates - 1}, the negatives of a row")
    generators = [np.random.Generator(np.random.PCG64([seed, stream])) for stream in range(4)]
    language = ScaledLanguage(invented_words(vocabulary, generators[0]))
    chunk = int(chunk_questions / MEAN_GROUP_SIZE)
    blocks = with_progress(_groups(rows, chunk, language, generators[1]), math.ceil(rows / chunk), "train.tsv")
    write_text(folder / "train.tsv", blocks)
    for name, generator in (("validation.tsv", generators[2]), ("test.tsv", generators[3])):
        ranked = _ranking_rows(validation_rows, candidates - 1, pool, language, generator)
        write_text(folder / name, with_progress(ranked, validation_rows, name))


def cached_scaled(cache: Cache, **settings: int) -> Path:
    """The folder of `write_scaled(folder, seed=0, **settings)` in the cache."""
    settings["seed"] = 0
    key: dict[str, object] = {"format": 1, **settings}
    return Path(cache.entry("benchmark-corpus", key, lambda folder: write_scaled(folder, **settings), str))


def _groups(rows: int, chunk: int, language: "ScaledLanguage", generator: np.random.Generator) -> Iterator[str]:
    """Yields the lines of `chunk` groups of 2 to 5 questions at a time."""
    for start in range(0, rows, chunk):
        groups = generator.integers(2, 6, size=min(chunk, rows - start))
        yield language.lines(groups, groups, generator)


def _ranking_rows(
    rows: int, negatives: int, pool: int, language: "ScaledLanguage", generator: np.random.Generator
) -> Iterator[str]:
    """Yields a question, its duplicate and negatives; a question of the pool is in a row at most once."""
    others = language.lines(np.ones(pool, dtype=np.int64), np.ones(pool, dtype=np.int64), generator).splitlines()
    pairs = language.lines(np.full(rows, 2), np.full(rows, 2), generator).splitlines()
    for pair in pairs:
        drawn = generator.choice(pool, size=negatives, replace=False)
        yield "\t".join([pair, *(others[i] for i in drawn.tolist())]) + "\n"


class ScaledLanguage:
    """Draws lines of questions with array operations: a question is a row of pieces, all joined at once.

    `words`: the invented words, from the most to the least frequent.
    """

    def __init__(self, words: list[str]) -> None:
        pieces = ["", "\t", "\n", *OPENINGS, *JOINERS, *words, *(f" {word}" for word in words)]
        self._pieces = np.array(pieces, dtype=object)
        self._openings = 3
        self._joiners = self._openings + len(OPENINGS)
        self._first_words = self._joiners + len(JOINERS)
        self._later_words = self._first_words + len(words)
        frequencies = 1.0 / (np.arange(len(words) // WORDS_A_CONCEPT) + 1.0 + ZIPF_SHIFT)
        self._cumulative = np.cumsum(frequencies) / frequencies.sum()

    def lines(self, groups: NDArray[np.int64], columns: NDArray[np.int64], generator: np.random.Generator) -> str:
        """Draws lines of tab-separated questions.

        `groups`: questions of each group. `columns`: questions of each line, with the same total.
        """
        words = self._words(groups, generator)  # [questions, CONCEPTS_A_GROUP]
        questions = len(words)
        joiners = generator.integers(len(JOINERS), size=(questions, CONCEPTS_A_GROUP - 1)) + self._joiners
        pieces = np.zeros((questions, 2 * CONCEPTS_A_GROUP + 1), dtype=np.int64)
        pieces[:, 0] = generator.integers(len(OPENINGS), size=questions) + self._openings
        pieces[:, 1] = words[:, 0] + self._first_words
        pieces[:, 2:-1:2] = joiners
        pieces[:, 3:-1:2] = words[:, 1:] + self._later_words
        pieces[generator.random(questions) < 0.5, -3:-1] = 0  # five content words instead of six
        pieces[:, -1] = 1
        pieces[np.cumsum(columns) - 1, -1] = 2
        return "".join(self._pieces[pieces.ravel()].tolist())

    def _words(self, groups: NDArray[np.int64], generator: np.random.Generator) -> NDArray[np.int64]:
        """The words of every question in order, [questions, CONCEPTS_A_GROUP]."""
        concepts = np.repeat(self._concepts((len(groups), CONCEPTS_A_GROUP), generator), groups, axis=0)
        stray = generator.random(concepts.shape) < STRAY_SHARE
        concepts[stray] = self._concepts((int(stray.sum()),), generator)
        order = np.argsort(generator.random(concepts.shape), axis=1, kind="stable")
        second = generator.random(concepts.shape) < SECOND_WORD_SHARE
        return np.take_along_axis(concepts, order, axis=1) * WORDS_A_CONCEPT + second

    def _concepts(self, shape: tuple[int, ...], generator: np.random.Generator) -> NDArray[np.int64]:
        ranks = np.searchsorted(self._cumulative, generator.random(shape), side="right")
        return np.minimum(ranks, len(self._cumulative) - 1)


def invented_words(count: int, generator: np.random.Generator) -> list[str]:
    """Distinct pronounceable words of lower-case letters, the shorter ones first.

    Raises InputError for fewer than two words, and for more than there are.
    """
    lasts = [f"{onset}{vowel}{coda}" for onset in ONSETS for vowel in LAST_VOWELS for coda in CODAS]
    firsts = [f"{onset}{vowel}" for onset in ONSETS for vowel in VOWELS]
    short_words = len(firsts) * len(lasts)  # how many exist
    long_words = len(firsts) * short_words
    if not WORDS_A_CONCEPT <= count <= long_words:
        raise InputError(f"vocabulary={count}: must be from {WORDS_A_CONCEPT} to {long_words}")
    short = min(round(count * SHORT_WORDS_SHARE), short_words)
    starts = ("", *firsts)  # the digits of a number are the syllables of a word; short words have no first one
    numbers = np.concatenate(
        [generator.permutation(short_words)[:short], generator.permutation(long_words)[: count - short] + short_words]
    )
    return [
        starts[number // short_words] + firsts[number // len(lasts) % len(firsts)] + lasts[number % len(lasts)]
        for number in numbers.tolist()
    ]
