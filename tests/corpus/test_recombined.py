"""Texts that are made of two texts each."""

import numpy as np
import pytest

from askagain.corpus.cache import Cache
from askagain.corpus.corpus import Corpus
from askagain.corpus.files import CorpusFiles
from askagain.corpus.recombined import recombined
from askagain.text.preprocessor import TextPreprocessor

TEXTS = ["how do i mount a disk", "what is a monad", "vim", "quit without saving a file"]


def test_a_made_text_is_a_beginning_followed_by_an_end_of_the_texts_that_are_named():
    made, parents = recombined(TEXTS, 400, seed=1)
    assert len(made) == len(parents) == 400
    joined = set()
    for text, (first, second) in zip(made, parents.tolist(), strict=True):
        one, other = TEXTS[first].split(), TEXTS[second].split()
        cuts = [(i, j) for i in range(len(one) + 1) for j in range(len(other) + 1)]
        possible = {" ".join(one[:i] + other[j:]) for i, j in cuts} - {""}
        assert text in possible
        joined.add(text)
    assert "what is a disk" in joined and set(TEXTS) <= joined and len(joined) > 60


def test_every_text_begins_as_many_and_a_seed_gives_the_same():
    made, parents = recombined(TEXTS, 10, seed=1)
    assert sorted(np.bincount(parents[:, 0]).tolist()) == [2, 2, 3, 3]
    again, _ = recombined(TEXTS, 10, seed=1)
    other, _ = recombined(TEXTS, 10, seed=2)
    assert made == again != other


@pytest.mark.parametrize(("texts", "count"), [([], 0), (TEXTS, 0), (["vim"], 3)])
def test_few_texts_or_none_are_no_error(texts, count):
    made, parents = recombined(texts, count, seed=0)
    assert len(made) == count and parents.shape == (count, 2) and all(made)


def test_a_corpus_makes_them_once_of_both_of_its_files(tmp_path):
    (tmp_path / "train.tsv").write_text("mount disk\thow to mount\n")
    (tmp_path / "corpus.txt").write_text("".join(f"{text}\n" for text in TEXTS))
    (tmp_path / "validation.tsv").write_text("a\tb\tc\n")
    files, cache = CorpusFiles.locate(str(tmp_path)), Cache(tmp_path / "cache")
    store, parents = Corpus(files, TextPreprocessor(), cache, "error").recombined(30)
    texts = ["mount disk", "how to mount", *TEXTS]
    rows = [store.texts[text] for text in store.rows.ids.tolist()]
    assert rows == recombined(texts, 30, seed=0)[0] and set(parents[:, 0].tolist()) == set(range(6))
    again, _ = Corpus(files, TextPreprocessor(), cache, "error").recombined(30)
    assert list(again.texts) == list(store.texts)
