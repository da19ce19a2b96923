import numpy as np
import pytest

from askagain.errors import InputError
from askagain.vectors.word_vectors import WordVectors
from tests.training.conftest import known_words


def test_the_top_words_are_of_ascii_letters_only_the_most_frequent_first(corpus):
    words = ["the", ",", "c++", "naïve", "Paris", "2020", "of"]
    some = WordVectors(words, np.ones((len(words), 2), dtype=np.float32), "some")
    assert known_words(corpus, some, words="top", limit=None).rows.tolist() == [0, 4, 6]
    assert known_words(corpus, some, words="top", limit=2).rows.tolist() == [0, 4]


def test_evaluation_learns_from_known_words_of_the_ranking_set_only(corpus, vectors):
    more = WordVectors([*vectors.words, "zebra"], np.vstack([vectors.table, vectors.table[:1]]), "more")
    data = known_words(corpus, more, words="evaluation")
    assert {more.words[row] for row in data.rows} == set(vectors.words)
    assert len(known_words(corpus, more, words="all").rows) == len(vectors) + 1
    assert len(known_words(corpus, more, words="top", limit=10).rows) == 10


def test_a_batch_holds_words_trigrams_and_vectors(corpus, vectors):
    data = known_words(corpus, vectors, words="all", validation_fraction=0.1, batch_size=16)
    batch = next(iter(data.val_dataloader()))
    word = vectors.words[data.split[1][0]]
    assert batch.ngrams.ids[: batch.ngrams.offsets[1]].tolist() == data.tokenizer.indices(word)
    assert np.array_equal(batch.vectors[0].numpy(), vectors.table[vectors.rows([word])[0]])
    trained = sum(len(batch.vectors) for batch in data.train_dataloader())
    assert trained + len(data.split[1]) == len(vectors)


def test_texts_that_are_not_cleaned_learn_from_words_as_their_file_spells_them(corpus, vectors, monkeypatch):
    words = ["caf\u00e9", *vectors.words[1:]]
    some = WordVectors(words, vectors.table, "some", {"cafe\u0301": 0})
    assert known_words(corpus, some, words="all").vectors.words == words
    monkeypatch.setattr(corpus.preprocessor, "clean", False)
    data = known_words(corpus, some, words="all")
    assert data.vectors.words == [*words, "cafe\u0301"] and len(data.rows) == len(words) + 1
    assert np.array_equal(data.vectors.table[-1], vectors.table[0])


def test_known_and_unknown_words_are_counted(corpus, vectors):
    few = WordVectors(vectors.words[:5], vectors.table[:5], "few")
    counts = known_words(corpus, few, words="all").counts()
    words = corpus.ranking("validation").words(corpus.preprocessor).words
    assert counts["known"] == 5 and counts["known"] + counts["unknown"] == counts["validation_words"] == len(words)
    assert counts["unknown_with_known_ngrams"] + counts["unknown_without"] == counts["unknown"]
    assert 0 < counts["unknown_with_known_ngrams"] < counts["unknown"]


def test_frequent_unknown_words_are_unknown_and_most_frequent_first(corpus, vectors):
    texts = corpus.ranking("validation").words(corpus.preprocessor)
    found = known_words(corpus, vectors, words="all").frequent_unknown_words(5)
    counts = dict(zip(texts.words, texts.counts.tolist(), strict=True))
    frequencies = [counts[word] for word in found]
    assert len(found) == 5 and not any(word in vectors for word in found)
    assert frequencies == sorted(frequencies, reverse=True)


def test_nothing_to_learn_from_is_refused(corpus, vectors):
    with pytest.raises(InputError, match="no such word to learn from"):
        _ = known_words(corpus, WordVectors(["2020"], vectors.table[:1], "numbers"), words="top").rows
