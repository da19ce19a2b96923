"""Rankers that count terms: TF-IDF and BM25, the baselines that an encoder has to beat.

A text becomes a sparse row with a column a term, once as a question and once as a candidate; the score of a pair is the
product of the two. How rare a term is comes from the texts that a ranker is fitted to, never from those that are
ranked; a term that is first met there counts as one that no text had.
"""

from abc import ABC, abstractmethod
from array import array
from collections.abc import Callable, Iterable

import numpy as np
from scipy.sparse import csr_array

from askagain.errors import InputError
from askagain.text.bags import offsets_of
from askagain.text.ngrams import letter_ngrams
from askagain.text.preprocessor import TextPreprocessor


class LexicalRanker(ABC):
    """Counts the terms of texts: words or, with `letters` = [shortest, longest], the letter n-grams of `#word#`.

    Raises InputError for lengths that cannot be meant.
    """

    def __init__(self, preprocessor: TextPreprocessor, letters: list[int] | None) -> None:
        self._terms_of = preprocessor.words if letters is None else _letter_ngrams(preprocessor, letters)
        self._columns: dict[str, int] = {}
        self._fitted = 0  # texts
        self._mean_length = 1.0  # of a text, in terms
        self._texts_with = np.zeros(0, dtype=np.int64)  # each term

    def fit(self, texts: Iterable[str]) -> None:
        """Counts in how many of `texts` each term is; raises InputError where there are none."""
        counts = self._counts(texts)
        self._fitted = counts.shape[0]
        if counts.nnz == 0:
            raise InputError("no terms to count in train.tsv and corpus.txt; a ranker that counts terms needs some")
        self._texts_with = np.bincount(counts.indices, minlength=counts.shape[1])
        self._mean_length = counts.sum() / self._fitted

    @abstractmethod
    def questions(self, texts: Iterable[str]) -> csr_array:
        """What the texts are as questions: [texts, terms] float64, indices in rising order."""

    @abstractmethod
    def candidates(self, texts: Iterable[str]) -> csr_array:
        """What the texts are as candidates, likewise; there may be more terms by then."""

    def shared_terms(self, question: str, candidate: str) -> list[tuple[str, float]]:
        """The terms that two texts share, and what each adds to their score."""
        one, other = self.questions([question]), self.candidates([candidate])
        terms, of_one, of_other = np.intersect1d(one.indices, other.indices, return_indices=True)
        names = list(self._columns)
        scores = (one.data[of_one] * other.data[of_other]).tolist()
        return [(names[term], score) for term, score in zip(terms, scores, strict=True)]

    def _counts(self, texts: Iterable[str]) -> csr_array:
        """How often each term is in each text: [texts, terms] float64."""
        columns, lengths, index = array("q"), array("q"), self._columns
        for text in texts:
            terms = self._terms_of(text)
            columns.extend([index.setdefault(term, len(index)) for term in terms])
            lengths.append(len(terms))
        ones = np.ones(len(columns))
        counts = csr_array(
            (ones, np.array(columns, dtype=np.int64), offsets_of(np.array(lengths, dtype=np.int64))),
            shape=(len(lengths), len(index)),
        )
        counts.sum_duplicates()  # and sorts, so that equal texts are summed in the same order and tie exactly
        return counts

    def _frequencies(self, columns: np.ndarray) -> np.ndarray:
        """In how many texts the terms of these columns were when the ranker was fitted."""
        met = columns < len(self._texts_with)
        return np.where(met, self._texts_with[np.where(met, columns, 0)], 0)


class TfIdf(LexicalRanker):
    """The cosine of rows that hold tf * idf for each term, idf = ln((1 + n) / (1 + texts with the term)) + 1.

    `sublinear`: tf is 1 + ln of the count, else the count.
    """

    def __init__(self, preprocessor: TextPreprocessor, sublinear: bool, letters: list[int] | None = None) -> None:
        super().__init__(preprocessor, letters)
        self.sublinear = sublinear

    def questions(self, texts: Iterable[str]) -> csr_array:
        """See `LexicalRanker`."""
        rows = self._counts(texts)
        if self.sublinear:
            rows.data = 1 + np.log(rows.data)
        rows.data *= np.log((1 + self._fitted) / (1 + self._frequencies(rows.indices))) + 1
        lengths = np.sqrt((rows * rows).sum(axis=1))
        rows.data /= np.repeat(lengths, np.diff(rows.indptr))
        return rows

    candidates = questions


class Bm25(LexicalRanker):
    """BM25 as Lucene has it: the sum over the question's words of idf * tf (k1 + 1) / (tf + k1 (1 - b + b length / mean
    length)), idf = ln(1 + (n - texts with it + 0.5) / (texts with it + 0.5)); Robertson and Zaragoza 2009.
    """

    def __init__(self, preprocessor: TextPreprocessor, k1: float, b: float, letters: list[int] | None = None) -> None:
        super().__init__(preprocessor, letters)
        self.k1 = k1
        self.b = b

    def questions(self, texts: Iterable[str]) -> csr_array:
        """See `LexicalRanker`."""
        return self._counts(texts)

    def candidates(self, texts: Iterable[str]) -> csr_array:
        """See `LexicalRanker`."""
        rows = self._counts(texts)
        frequencies = self._frequencies(rows.indices)
        idf = np.log(1 + (self._fitted - frequencies + 0.5) / (frequencies + 0.5))
        saturation = self.k1 * (1 - self.b + self.b * rows.sum(axis=1) / self._mean_length)  # of each text
        rows.data *= idf * (self.k1 + 1) / (rows.data + np.repeat(saturation, np.diff(rows.indptr)))
        return rows


def _letter_ngrams(preprocessor: TextPreprocessor, letters: list[int]) -> Callable[[str], list[str]]:
    if len(letters) != 2 or not 1 <= letters[0] <= letters[1]:
        raise InputError(f"ranker.letters={letters}: must be the shortest and the longest n-gram, such as [3,5]")
    lengths = range(letters[0], letters[1] + 1)

    def ngrams(text: str) -> list[str]:
        return [ngram for word in preprocessor.words(text) for ngram in letter_ngrams(word, lengths)]

    return ngrams
