"""Rankers that count terms: TF-IDF and BM25, the baselines that an encoder has to beat.

A text becomes one sparse row as a question and one as a candidate, with a column for each term; the score of a pair is
the product of its rows. The frequency of terms comes from the texts that a ranker is fitted to, never from those that
are ranked: a term first seen there counts as a term of no text.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from itertools import islice
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from askagain.errors import InputError
from askagain.native.texts import NewTokens
from askagain.text.bags import Bags, offsets_of
from askagain.text.fields import Fields
from askagain.text.ngrams import letter_ngrams
from askagain.text.preprocessor import TextPreprocessor
from askagain.text.remembered_bags import RememberedBags
from askagain.text.token_numbers import TokenNumbers

if TYPE_CHECKING:
    from scipy.sparse import csr_array

TEXTS_PER_BLOCK = 1 << 13  # cleaned together
REMEMBERED_TOKENS = 1 << 20  # whose terms are remembered


class Fitted(NamedTuple):
    """What a ranker learned from the texts that it was fitted to.

    `terms`: by column. `texts_with`: [terms] int64, the texts with each. `fitted`: texts. `mean_length`: in terms.
    """

    terms: list[str]
    texts_with: np.ndarray
    fitted: int
    mean_length: float


class LexicalRanker(ABC):
    """Counts the terms of texts: words or, with `letters` = [shortest, longest], the letter n-grams of `#word#`."""

    def __init__(self, preprocessor: TextPreprocessor, letters: list[int] | None) -> None:
        self.preprocessor = preprocessor
        self._fields = preprocessor.fields or Fields(["title"])
        self._lock = Lock()  # of columns and terms: several threads may ask
        self._columns: dict[str, int] = {}
        sizes = None if letters is None else range(letters[0], letters[1] + 1)
        self._terms = _TermColumns(preprocessor, sizes, self._columns)
        self._fitted = 0  # texts
        self._mean_length = 1.0  # of a text, in terms
        self._texts_with = np.zeros(0, dtype=np.int64)  # by term

    def fit(self, texts: Iterable[str]) -> None:
        """Counts the texts that each term occurs in; raises InputError where there are no terms."""
        counts = self._counts(texts)
        self._fitted = counts.shape[0]
        if counts.nnz == 0:
            raise InputError("the texts to count terms in have none: check the preprocessor")
        self._texts_with = np.bincount(counts.indices, minlength=counts.shape[1])
        self._mean_length = counts.sum() / self._fitted

    def state(self) -> "Fitted":
        """What the ranker has learned, to be kept and given to `restore`."""
        fitted = list(self._columns)[: self.fitted_terms]
        return Fitted(fitted, self._texts_with, self._fitted, float(self._mean_length))

    def restore(self, columns: dict[str, int], texts_with: np.ndarray, fitted: int, mean_length: float) -> None:
        """Makes the ranker one that was fitted before; raises ValueError where counts and terms do not fit."""
        if texts_with.shape != (len(columns),):
            raise ValueError("there are not as many counts as terms")
        with self._lock:
            self._columns.clear()
            self._columns.update(columns)
            self._terms.clear()
        self._texts_with = texts_with
        self._fitted, self._mean_length = fitted, mean_length

    @property
    def fitted_terms(self) -> int:
        """How many terms the fitted texts have; theirs are the first columns."""
        return len(self._texts_with)

    def forget_new_terms(self) -> None:
        """Forgets the terms of texts that it was not fitted to, which would otherwise pile up."""
        with self._lock:
            if len(self._columns) > self.fitted_terms:
                self._terms.clear()
            while len(self._columns) > self.fitted_terms:
                self._columns.popitem()

    @abstractmethod
    def questions(self, texts: Iterable[str]) -> "csr_array":
        """The rows of texts as questions: [texts, terms] float64, with sorted indices."""

    @abstractmethod
    def candidates(self, texts: Iterable[str]) -> "csr_array":
        """The rows of texts as candidates, like `questions`; there may be more terms by then."""

    def shared_terms(self, question: str, candidate: str) -> list[tuple[str, float]]:
        """The terms that two texts share, and what each adds to their score."""
        asked, wanted = self.questions([question]), self.candidates([candidate])
        terms, asked_places, wanted_places = np.intersect1d(asked.indices, wanted.indices, return_indices=True)
        names = list(map(self._fields.named, self._columns))
        scores = (asked.data[asked_places] * wanted.data[wanted_places]).tolist()
        return [(names[term], score) for term, score in zip(terms, scores, strict=True)]

    def _counts(self, texts: Iterable[str]) -> "csr_array":
        """How often each term occurs in each text, [texts, terms] float64."""
        from scipy.sparse import csr_array  # takes long to import, and a training begins without

        parts = [Bags(np.zeros(0, dtype=np.int64), np.zeros(1, dtype=np.int64))]
        texts = iter(texts)
        with self._lock:
            while block := list(islice(texts, TEXTS_PER_BLOCK)):
                parts.append(self._terms.look_up(block))
            width = len(self._columns)
        bags = Bags.concatenated(parts)
        counts = csr_array((np.ones(len(bags.ids)), bags.ids, bags.offsets), shape=(len(bags), width))
        counts.sum_duplicates()  # it also sorts, so that equal texts are summed in the same order and tie exactly
        return counts

    def _frequencies(self, columns: np.ndarray) -> np.ndarray:
        """The number of fitted texts with the terms of these columns."""
        fitted = columns < len(self._texts_with)
        return np.where(fitted, self._texts_with[np.where(fitted, columns, 0)], 0)


class TfIdf(LexicalRanker):
    """The cosine of tf * idf, with idf = ln((1 + n) / (1 + texts with the term)) + 1.

    `sublinear`: tf is 1 + ln(count) instead of the count.
    """

    def __init__(self, preprocessor: TextPreprocessor, sublinear: bool, letters: list[int] | None = None) -> None:
        super().__init__(preprocessor, letters)
        self.sublinear = sublinear

    def questions(self, texts: Iterable[str]) -> "csr_array":
        rows = self._counts(texts)
        if self.sublinear:
            rows.data = 1 + np.log(rows.data)
        rows.data *= np.log((1 + self._fitted) / (1 + self._frequencies(rows.indices))) + 1
        lengths = np.sqrt((rows * rows).sum(axis=1))
        rows.data /= np.repeat(lengths, np.diff(rows.indptr))
        return rows

    candidates = questions


class Bm25(LexicalRanker):
    """BM25 as in Lucene: the sum over the question's words of idf * tf (k1 + 1) / (tf + k1 (1 - b + b length / mean)).

    `length` is the candidate's, `mean` that of the fitted texts, in words; idf = ln(1 + (n - texts with the word + 0.5)
    / (texts with the word + 0.5)). Source: Robertson and Zaragoza, "The Probabilistic Relevance Framework", 2009.
    """

    def __init__(self, preprocessor: TextPreprocessor, k1: float, b: float, letters: list[int] | None = None) -> None:
        super().__init__(preprocessor, letters)
        self.k1 = k1
        self.b = b

    def questions(self, texts: Iterable[str]) -> "csr_array":
        return self._counts(texts)

    def candidates(self, texts: Iterable[str]) -> "csr_array":
        """What each term adds to the score of a question that has it once."""
        rows = self._counts(texts)
        frequencies = self._frequencies(rows.indices)
        idf = np.log(1 + (self._fitted - frequencies + 0.5) / (frequencies + 0.5))
        saturation = self.k1 * (1 - self.b + self.b * rows.sum(axis=1) / self._mean_length)  # of each text
        rows.data *= idf * (self.k1 + 1) / (rows.data + np.repeat(saturation, np.diff(rows.indptr)))
        return rows


class _TermColumns:
    """The columns of the terms of texts; each distinct token, a piece between spaces, is cleaned once.

    Where words may reach across spaces, words are remembered in place of tokens. `columns`: the column of each term, to
    which new ones are added. `letters`: sizes of the letter n-grams that are the terms (None: words are).
    """

    def __init__(self, preprocessor: TextPreprocessor, letters: Sequence[int] | None, columns: dict[str, int]) -> None:
        self._preprocessor = preprocessor
        self._letters = letters
        self._columns = columns
        self._numbers = TokenNumbers(preprocessor, preprocessor.words_of_all)
        self.clear()

    def clear(self) -> None:
        """Forgets all tokens."""
        self._numbers.clear()
        self._bags = RememberedBags()

    def look_up(self, texts: Sequence[str]) -> Bags:
        """The columns of the terms of each text, in their order or sorted."""
        if len(self._numbers) > REMEMBERED_TOKENS:
            self.clear()
        try:
            tokens, offsets, new = self._numbers.number(texts)
            self._learn(new.strings() if isinstance(new, NewTokens) else new)
        except BaseException:
            self.clear()  # new tokens may have no columns yet
            raise
        if self._numbers.table is None:
            return self._bags.concatenate(tokens, offsets)
        return Bags(*self._numbers.table.collected(*self._bags.arrays, tokens, offsets))

    def _learn(self, tokens: list[str]) -> None:
        known = len(self._numbers) - len(tokens)
        columns, letters = self._columns, self._letters
        words, lengths = tokens, np.ones(len(tokens), dtype=np.int64)
        if self._preprocessor.by_token:
            words, lengths = self._preprocessor.words_of_all(tokens)
        terms = [[word] for word in words] if letters is None else [letter_ngrams(word, letters) for word in words]
        offsets = offsets_of(np.fromiter(map(len, terms), np.int64, len(terms)))[offsets_of(lengths)]
        numbers = (columns.setdefault(term, len(columns)) for word_terms in terms for term in word_terms)
        self._bags.put(known, Bags(np.fromiter(numbers, np.int32, int(offsets[-1])), offsets))
