"""Writes a synthetic corpus of any size with the size and word statistics of the real one, to measure time and memory.

Its words are invented. A concept is two words that mean the same, concepts have Zipf frequencies, and the questions
of a group say the same concepts in another order, with the one word or the other: so duplicates can be learned.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.progress import Progress

from askagain.errors import InputError
from askagain.files.progress import progress_bar
from askagain.files.writing import atomic_write

CHUNK_QUESTIONS = 200_000  # drawn and joined at once: bounds the memory
WORDS_A_CONCEPT = 2
CONCEPTS_A_GROUP = 6  # a question says all of them, or leaves one out
MEAN_GROUP_SIZE = 3.5  # groups have 2, 3, 4 or 5 questions, all equally likely
ZIPF_SHIFT = 10.0  # Zipf-Mandelbrot: the concept of rank r has frequency 1 / (r + shift)
SECOND_WORD_SHARE = 0.35  # how often a concept is said by its second word
STRAY_SHARE = 0.1  # how often a question says another concept in place of one of its group

# Only stop words, so that the content words are the invented ones.
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
) -> None:
    """Writes synthetic `train.tsv`, `validation.tsv` and `test.tsv` into `folder`, with a progress bar on stderr.

    Memory does not grow with `rows`: the corpus is drawn and written in chunks. A file appears only when it is whole.

    Args:
        folder: where the files go; made if need be.
        rows: lines of `train.tsv`, each a group of 2 to 5 questions of 5 or 6 content words.
        validation_rows: lines of `validation.tsv` and of `test.tsv`, each from a group of its own.
        candidates: a row's duplicate and its negatives.
        pool: questions, each of a group of its own, that the negatives of a file are drawn from.
        seed: of the generator; every file has its own sequence, so that none depends on the size of another.
        vocabulary: number of distinct words; fewer are seen while the corpus is small.

    Raises:
        InputError: a number is too small, or there are not so many words.
    """
    if pool < candidates - 1:
        raise InputError(f"pool={pool}: it must be {candidates - 1} or more, the negatives of a row")
    for name, value, least in (
        ("rows", rows, 1),
        ("validation_rows", validation_rows, 1),
        ("candidates", candidates, 1),
        ("seed", seed, 0),
    ):
        if value < least:
            raise InputError(f"{name}={value}: it must be {least} or more")
    generators = [np.random.Generator(np.random.PCG64([seed, stream])) for stream in range(4)]
    language = ScaledLanguage(invented_words(vocabulary, generators[0]))
    with progress_bar() as progress:
        _write_groups(folder / "train.tsv", rows, language, generators[1], progress)
        for name, generator in (("validation.tsv", generators[2]), ("test.tsv", generators[3])):
            _write_ranking(folder / name, validation_rows, candidates - 1, pool, language, generator, progress)


def _write_groups(
    path: Path, rows: int, language: "ScaledLanguage", generator: np.random.Generator, progress: Progress
) -> None:
    """Writes groups of 2 to 5 questions."""
    chunk = int(CHUNK_QUESTIONS / MEAN_GROUP_SIZE)
    task = progress.add_task(path.name, total=rows)
    with atomic_write(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as file:
        for start in range(0, rows, chunk):
            groups = generator.integers(2, 6, size=min(chunk, rows - start))
            file.write(language.lines(groups, groups, generator))
            progress.advance(task, len(groups))


def _write_ranking(
    path: Path,
    rows: int,
    negatives: int,
    pool: int,
    language: "ScaledLanguage",
    generator: np.random.Generator,
    progress: Progress,
) -> None:
    """Writes rows of question, duplicate and negatives; a question of the pool is in a row at most once."""
    task = progress.add_task(path.name, total=rows)
    others = language.lines(np.ones(pool, dtype=np.int64), np.ones(pool, dtype=np.int64), generator).splitlines()
    pairs = language.lines(np.full(rows, 2), np.full(rows, 2), generator).splitlines()
    with atomic_write(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as file:
        for pair in pairs:
            drawn = generator.choice(pool, size=negatives, replace=False)
            file.write("\t".join([pair, *(others[i] for i in drawn.tolist())]) + "\n")
            progress.advance(task)


class ScaledLanguage:
    """Turns group sizes into lines of text, by arrays: a question is a row of pieces, the pieces are joined at once."""

    def __init__(self, words: list[str]) -> None:
        """Takes the invented words, from the most to the least frequent."""
        pieces = ["", "\t", "\n", *OPENINGS, *JOINERS, *words, *(f" {word}" for word in words)]
        self._pieces = np.array(pieces, dtype=object)
        self._openings = 3
        self._joiners = self._openings + len(OPENINGS)
        self._first_words = self._joiners + len(JOINERS)
        self._later_words = self._first_words + len(words)
        frequencies = 1.0 / (np.arange(len(words) // WORDS_A_CONCEPT) + 1.0 + ZIPF_SHIFT)
        self._cumulative = np.cumsum(frequencies) / frequencies.sum()

    def lines(self, groups: NDArray[np.int64], columns: NDArray[np.int64], generator: np.random.Generator) -> str:
        """Lines of tab-separated questions.

        Args:
            groups: number of questions of each group, one group after the other.
            columns: number of questions of each line; the same total.
            generator: where the draws come from.
        """
        words = self._words(groups, generator)  # [questions, CONCEPTS_A_GROUP]
        questions = len(words)
        joiners = generator.integers(len(JOINERS), size=(questions, CONCEPTS_A_GROUP - 1)) + self._joiners
        pieces = np.zeros((questions, 2 * CONCEPTS_A_GROUP + 1), dtype=np.int64)
        pieces[:, 0] = generator.integers(len(OPENINGS), size=questions) + self._openings
        pieces[:, 1] = words[:, 0] + self._first_words
        pieces[:, 2:-1:2] = joiners
        pieces[:, 3:-1:2] = words[:, 1:] + self._later_words
        pieces[generator.random(questions) < 0.5, -3:-1] = 0  # five content words, not six
        pieces[:, -1] = 1
        pieces[np.cumsum(columns) - 1, -1] = 2
        return "".join(self._pieces[pieces.ravel()].tolist())

    def _words(self, groups: NDArray[np.int64], generator: np.random.Generator) -> NDArray[np.int64]:
        """The words of every question, in the order they are said: [questions, CONCEPTS_A_GROUP]."""
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
    """Distinct words that can be pronounced, lower-case letters only, the shorter ones first.

    Raises:
        InputError: fewer than two words are asked for, or more than there are.
    """
    lasts = [f"{onset}{vowel}{coda}" for onset in ONSETS for vowel in LAST_VOWELS for coda in CODAS]
    firsts = [f"{onset}{vowel}" for onset in ONSETS for vowel in VOWELS]
    short_words = len(firsts) * len(lasts)  # that exist
    long_words = len(firsts) * short_words
    if not WORDS_A_CONCEPT <= count <= long_words:
        raise InputError(f"vocabulary={count}: it must be from {WORDS_A_CONCEPT} to {long_words}")
    short = min(round(count * SHORT_WORDS_SHARE), short_words)
    starts = ("", *firsts)  # the number of a word is its syllables, the number of a short one has no first syllable
    numbers = np.concatenate(
        [generator.permutation(short_words)[:short], generator.permutation(long_words)[: count - short] + short_words]
    )
    return [
        starts[number // short_words] + firsts[number // len(lasts) % len(firsts)] + lasts[number % len(lasts)]
        for number in numbers.tolist()
    ]
