from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from itertools import product

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer

from askagain.errors import InputError
from askagain.models import lexical
from askagain.models.lexical import Bm25, TfIdf
from askagain.ranking.products import products
from askagain.text.ngrams import letter_ngrams
from askagain.text.preprocessor import TextPreprocessor

FITTED = [
    "mount a disk at boot",
    "mount a usb disk disk",
    "boot from a usb stick",
    "sound is gone after boot",
    "what is a monad",
]
QUESTIONS = ["mount mount disk", "boot zzz", "qqq", "a monad"]
CANDIDATES = ["a disk to mount", "zzz", "boot is slow", "the monad", "boot is slow"]
WORDS = TextPreprocessor()


def scores_of(ranker, fitted=FITTED) -> np.ndarray:
    ranker.fit(fitted)
    return products(ranker.questions(QUESTIONS), ranker.candidates(CANDIDATES))


@pytest.mark.parametrize("sublinear", [True, False])
def test_tfidf_is_that_of_scikit_learn_where_all_terms_are_known(sublinear):
    ranker = TfIdf(WORDS, sublinear=sublinear)
    ranker.fit(FITTED)
    theirs = TfidfVectorizer(sublinear_tf=sublinear, token_pattern=r"\S+").fit_transform(FITTED)
    ours = products(ranker.questions(FITTED), ranker.candidates(FITTED))
    assert ours == pytest.approx((theirs @ theirs.T).toarray())


def test_a_term_that_was_not_fitted_counts_as_one_that_no_text_had():
    scores = scores_of(TfIdf(WORDS, sublinear=True))
    boot, unknown = np.log(6 / 4) + 1, np.log(6) + 1  # three of five texts have boot
    assert scores[1, 1] == pytest.approx(unknown / np.hypot(boot, unknown))
    assert scores[2].tolist() == [0, 0, 0, 0, 0]


def test_bm25_is_its_formula():
    k1, b = 1.5, 0.6
    scores = scores_of(Bm25(WORDS, k1=k1, b=b))
    texts = [text.split() for text in FITTED]
    mean_length = np.mean([len(text) for text in texts])
    for (i, question), (j, candidate) in product(enumerate(QUESTIONS), enumerate(CANDIDATES)):
        words, expected = candidate.split(), 0.0
        for word in question.split():
            having, count = sum(word in text for text in texts), words.count(word)
            idf = np.log(1 + (len(texts) - having + 0.5) / (having + 0.5))
            expected += idf * count * (k1 + 1) / (count + k1 * (1 - b + b * len(words) / mean_length))
        assert scores[i, j] == pytest.approx(expected)


def test_letter_ngrams_are_those_of_words_between_bounds():
    scores = scores_of(TfIdf(WORDS, sublinear=False, letters=[4, 4]), ["zzzz"])
    # #mon mona onad nad# of one side, #the the# as well of the other; `a` has too few letters; none was fitted
    assert scores[3, 3] == pytest.approx(4 / np.sqrt(4 * 6))


@pytest.mark.parametrize("ranker", [TfIdf(WORDS, True), TfIdf(WORDS, True, [3, 5]), Bm25(WORDS, 1.2, 0.75)])
def test_equal_words_tie_exactly_in_whatever_order_and_batch(ranker):
    ranker.fit(FITTED)
    words = ["sound", "gone", "after", "boot", "from", "usb", "stick", "zzz", "yyy"]
    orders = [" ".join(np.random.default_rng(i).permutation(words)) for i in range(20)]
    questions = ranker.questions(["usb sound yyy after", "boot"])
    together = products(questions, ranker.candidates(orders))
    alone = [products(questions[[0]], ranker.candidates([order]))[0, 0] for order in orders]
    assert set(together[0]) == set(alone) and len(set(alone)) == 1


def test_texts_without_words_are_refused():
    with pytest.raises(InputError, match="the texts to count terms in have none"):
        TfIdf(WORDS, True).fit([])


PREPROCESSORS = {
    "tokens": TextPreprocessor("?"),
    "across spaces": TextPreprocessor(split="regex", pattern=r"[a-z]+ ?[a-z]*"),
}


def plain_counts(ranker, texts, letters) -> list[dict[str, int]]:
    """How often each term is in each text, cleaned one by one."""
    sizes = None if letters is None else range(letters[0], letters[1] + 1)
    words = [ranker.preprocessor.words(text) for text in texts]
    return [Counter(one if sizes is None else [n for word in one for n in letter_ngrams(word, sizes)]) for one in words]


@pytest.mark.parametrize("letters", [None, [2, 3]])
@pytest.mark.parametrize("preprocessor", PREPROCESSORS.values(), ids=PREPROCESSORS)
@pytest.mark.parametrize("remembered", [6, 1 << 20])
def test_terms_are_those_of_texts_that_are_cleaned_one_by_one(preprocessor, letters, remembered, monkeypatch):
    monkeypatch.setattr(lexical, "REMEMBERED_TOKENS", remembered)
    monkeypatch.setattr(lexical, "TEXTS_PER_BLOCK", 2)
    ranker = Bm25(preprocessor, k1=1.2, b=0.75, letters=letters)
    ranker.fit(FITTED)
    for texts in (QUESTIONS, ["boot?  sound", "", "new words here"], FITTED, ["words new", "here qqq zzz"]):
        counts = ranker.questions(texts)
        terms = list(ranker._columns)
        rows = [
            {terms[column]: int(count) for column, count in zip(row.indices, row.data, strict=True)} for row in counts
        ]
        assert rows == plain_counts(ranker, texts, letters)
        ranker.forget_new_terms()
        assert len(ranker._columns) == ranker.fitted_terms


def test_an_error_while_terms_are_learned_leaves_right_terms_behind(monkeypatch):
    ranker = Bm25(WORDS, k1=1.2, b=0.75)
    ranker.fit(FITTED)
    expected = ranker.questions(FITTED).toarray()
    with monkeypatch.context() as patch:
        patch.setattr(ranker.preprocessor, "words_of_all", lambda texts: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            ranker.questions(["alpha beta"])
    ranker.questions(["gamma delta"])
    assert (ranker.questions(FITTED).toarray()[:, : ranker.fitted_terms] == expected).all()
    columns = ranker.questions(["alpha beta"]).indices.tolist()
    terms = list(ranker._columns)
    assert {terms[column] for column in columns} == {"alpha", "beta"}


def test_threads_may_ask_at_once():
    ranker = TfIdf(WORDS, sublinear=True, letters=[2, 4])
    ranker.fit(FITTED)
    texts = [f"{text} t{number}" for number in range(300) for text in QUESTIONS]

    def ask(text: str) -> list[str]:
        columns = ranker.questions([text]).indices.tolist()
        terms = list(ranker._columns)
        return sorted(terms[column] for column in columns)

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(ask, texts))
    assert found == [sorted(plain_counts(ranker, [text], [2, 4])[0]) for text in texts]


@pytest.mark.parametrize("letters", [None, [3, 5]])
def test_terms_are_those_that_python_finds_where_tokens_are_numbered_in_c(compiled, letters, monkeypatch):
    rng = np.random.default_rng(4)
    words = ["Boot", "boot,", "ünder", "a", "the", "disk", "c++", *(f"word{number}" for number in range(200))]
    texts = [" ".join(rng.choice(words, rng.integers(0, 9))) for _ in range(900)] + ["", " two  spaces "]
    rankers = [Bm25(TextPreprocessor("?!.,", 2, "english"), 1.2, 0.7, letters) for _ in range(2)]
    rows = []
    for ranker, in_c in zip(rankers, (True, False), strict=True):
        with monkeypatch.context() as patch:
            if not in_c:
                patch.setattr("askagain.text.token_numbers.token_table", lambda texts: None)
            ranker.fit(texts[:700])
            rows.append((ranker.candidates(texts), ranker.candidates(texts[:3]), ranker.state()))
            assert (ranker._terms._numbers.table is not None) == in_c
    for own, other in zip(rows[0][:2], rows[1][:2], strict=True):
        assert own.shape == other.shape
        for name in ("indptr", "indices", "data"):
            assert np.array_equal(getattr(own, name), getattr(other, name)), name
    assert rows[0][2].terms == rows[1][2].terms
    assert np.array_equal(rows[0][2].texts_with, rows[1][2].texts_with)
