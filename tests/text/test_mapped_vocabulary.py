import numpy as np
import pytest

from askagain.files.arrays import read_tensors
from askagain.text import vocabulary as module
from askagain.text.vocabulary import LOOKUP, MappedVocabulary, WordVocabulary

WORDS = [*(f"word{number}" for number in range(5000)), "caf\u00e9", "\u4f60\u597d", "c++", "\U0001f600", "a"]
ASKED = ["word7", "unheard", "caf\u00e9", "", "\ud800", "\u4f60\u597d", "word7", "a", "word4999", "cafe", "\U0001f600"]


@pytest.fixture
def mapped(tmp_path):
    WordVocabulary(WORDS).save_lookup(tmp_path)
    return MappedVocabulary.open(tmp_path)


def test_words_are_found_one_by_one_as_in_a_dictionary_of_all(mapped):
    expected = WordVocabulary(WORDS).indices(ASKED)
    assert np.array_equal(mapped.indices(ASKED), expected)
    assert "index" not in vars(mapped)  # no dictionary was made
    assert len(mapped) == len(WORDS) and mapped.words == WORDS and "c++" in mapped
    assert np.array_equal(mapped.indices(ASKED * 1000), np.tile(expected, 1000))
    assert mapped.indices(WORDS).tolist() == list(range(len(WORDS)))


def test_words_whose_digests_are_equal_are_told_apart(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_key", lambda word: len(word))
    WordVocabulary(WORDS[:50]).save_lookup(tmp_path)
    found = MappedVocabulary.open(tmp_path).indices([*WORDS[:50], "word50", "nothing"])
    assert found.tolist() == [*range(50), -1, -1]


def test_no_words(tmp_path):
    WordVocabulary([]).save_lookup(tmp_path)
    empty = MappedVocabulary.open(tmp_path)
    assert len(empty) == 0 and empty.words == [] and empty.indices(["a"]).tolist() == [-1]


def test_what_does_not_hold_words_is_refused(tmp_path):
    WordVocabulary(WORDS).save_lookup(tmp_path)
    arrays = read_tensors(tmp_path / LOOKUP)
    good = (arrays["letters"], arrays["offsets"], arrays["keys"], arrays["order"])
    for place, bad in enumerate((good[0][:-1], good[1][1:], good[2][1:], good[3].astype(np.int32))):
        with pytest.raises(ValueError, match="does not hold words"):
            MappedVocabulary(*good[:place], bad, *good[place + 1 :])
    with pytest.raises(ValueError, match="does not hold words"):
        MappedVocabulary(good[0], good[1], good[2], good[3] + len(WORDS)).indices(["word1"])
