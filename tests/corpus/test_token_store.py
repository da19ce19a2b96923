import errno
import mmap
import os
import subprocess
import sys
import time
from collections import Counter
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from askagain.corpus import cache as cache_module
from askagain.corpus import store_files, token_store
from askagain.corpus.cache import Cache
from askagain.corpus.corpus import Corpus
from askagain.corpus.files import CorpusFiles
from askagain.corpus.store_files import bag_writer, write_texts
from askagain.corpus.token_store import TokenStore
from askagain.errors import InputError
from askagain.text import features as features_module
from askagain.text.features import Features, FeatureSettings
from askagain.text.preprocessor import TextPreprocessor
from tests.text.plain_features import word_ids

GROUPS = "mount usb disk\tHow to mount a disk\t???\nwhere am i\tmount usb disk\n"
CLEAN = TextPreprocessor("?", stopwords="english")


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "train.tsv"
    path.write_text(GROUPS)
    return path


def open_store(path, tmp_path) -> TokenStore:
    return TokenStore(path, 2, "error", Cache(tmp_path / "cache"))


def contents(store: TokenStore, preprocessor=CLEAN):
    features = store.count_features(preprocessor, FeatureSettings(kind="words_trigrams"))
    bags = store.features(preprocessor, features)
    return list(store.texts), store.rows.ids.tolist(), bags.ids.tolist(), bags.offsets.tolist()


def test_each_distinct_text_is_kept_once_and_rows_point_at_it(path, tmp_path):
    store = open_store(path, tmp_path)
    assert list(store.texts) == ["mount usb disk", "How to mount a disk", "???", "where am i"]
    assert [store.rows.bag(row).tolist() for row in range(2)] == [[0, 1, 2], [3, 0]]


def test_texts_are_sliced_as_a_list_is(path, tmp_path):
    texts = open_store(path, tmp_path).texts
    for part in (slice(None), slice(1, 3), slice(3, 1), slice(-3, -1), slice(None, None, -2), slice(2, 99)):
        assert texts[part] == list(texts)[part]


def test_words_are_those_of_the_preprocessor_and_an_empty_question_keeps_its_place(path, tmp_path):
    store = open_store(path, tmp_path)
    features = store.count_features(CLEAN, FeatureSettings(kind="words"))
    bags = store.features(CLEAN, features)
    split = [[features.vocabulary.words[i] for i in bags.bag(row)] for row in range(4)]
    assert [sorted(words) for words in split] == [
        sorted(words) for words in [["mount", "usb", "disk"], ["mount", "disk"], [], []]
    ]


def test_a_file_that_changes_while_it_is_read_is_refused_and_nothing_is_kept(path, tmp_path, monkeypatch):
    def growing(*arguments, **settings):
        yield from token_store_rows(*arguments, **settings)
        with path.open("a") as file:
            file.write("one more\tand another\n")

    token_store_rows = token_store.read_rows
    monkeypatch.setattr(token_store, "read_rows", growing)
    with pytest.raises(InputError, match=r"train\.tsv was changed while it was read: start again"):
        open_store(path, tmp_path)
    monkeypatch.undo()
    assert "one more" in open_store(path, tmp_path).texts
    assert not list((tmp_path / "cache").glob(".*.part"))


def test_a_second_start_reads_the_cache_and_cleans_nothing(path, tmp_path, monkeypatch):
    first = contents(open_store(path, tmp_path))

    def refuse(*_):
        raise AssertionError("read or cleaned again")

    monkeypatch.setattr(token_store, "read_rows", refuse)
    monkeypatch.setattr(token_store, "token_words", refuse)
    monkeypatch.setattr(Features, "from_words", refuse)
    assert contents(open_store(path, tmp_path)) == first


def test_other_hashes_are_computed_again_and_all_else_is_kept(path, tmp_path, monkeypatch):
    first = open_store(path, tmp_path)
    monkeypatch.setattr(token_store, "HASHED_BY", {"hash": 99})
    monkeypatch.setattr(token_store, "read_rows", None)
    store = open_store(path, tmp_path)
    assert store.cache.key == first.cache.key and store.hashes.tolist() == first.hashes.tolist()
    assert len(list((tmp_path / "cache").glob("hashes-*/"))) == 2


def test_more_texts_or_tokens_than_there_are_numbers_are_refused_in_a_line(path, tmp_path, monkeypatch):
    monkeypatch.setattr(store_files, "MOST_NUMBERS", 5)
    with pytest.raises(InputError, match=r"train\.tsv: more than 5 tokens: split the file"):
        open_store(path, tmp_path)
    assert not list((tmp_path / "cache").glob("texts-*/"))


def test_a_start_with_counted_features_does_not_load_all_words(path, tmp_path, monkeypatch):
    settings = FeatureSettings(kind="words_trigrams")
    first = open_store(path, tmp_path).count_features(CLEAN, settings)
    monkeypatch.setattr(token_store, "load_words", None)
    assert open_store(path, tmp_path).count_features(CLEAN, settings).fingerprint == first.fingerprint


def test_a_changed_file_another_preprocessor_and_another_vocabulary_are_built_anew(path, tmp_path):
    store = open_store(path, tmp_path)
    first = contents(store)
    assert contents(store, TextPreprocessor())[2] != first[2]
    words_only = store.count_features(CLEAN, FeatureSettings(kind="words"))
    assert store.features(CLEAN, words_only).ids.tolist() != first[2]
    path.write_text(GROUPS.replace("disk", "drive"))
    assert "mount usb drive" in open_store(path, tmp_path).texts
    assert contents(open_store(path, tmp_path))[0] != first[0]


def test_arrays_are_memory_mapped_and_read_only(path, tmp_path):
    store = open_store(path, tmp_path)
    mapped = store.rows.ids
    while isinstance(mapped, np.ndarray):
        mapped = mapped.base
    assert isinstance(mapped, mmap.mmap)
    with pytest.raises(ValueError, match="read-only"):
        store.rows.ids[0] = 1


def whole(folder):
    return (folder / "whole").read_text()


def test_a_failed_build_leaves_no_entry_behind(tmp_path):
    cache = Cache(tmp_path / "cache")

    def fail(folder):
        (folder / "half").write_text("x")
        raise InputError("bad")

    with pytest.raises(InputError):
        cache.entry("rows", {}, fail, str)
    assert not [path for path in (tmp_path / "cache").iterdir() if path.is_dir()]
    assert cache.entry("rows", {}, lambda folder: (folder / "whole").write_text("x"), whole) == "x"


def test_how_bad_rows_are_treated_and_how_many_columns_there_must_be_count_in_the_key(tmp_path):
    path = tmp_path / "rows.tsv"
    path.write_text("a\tb\tc\nd\te\n")
    cache = Cache(tmp_path / "cache")
    assert len(TokenStore(path, 3, "skip", cache).rows) == 1
    assert len(TokenStore(path, 2, "skip", cache).rows) == 2
    with pytest.raises(InputError, match="line 2"):
        TokenStore(path, 3, "error", cache)


@pytest.mark.parametrize(
    "file",
    [
        "rows.ids.int32",
        "hashes.npy",
        "bags.offsets.int64",
        "tokens.txt",
        "token_counts.npy",
        "words.json",
        "words.ids.int32",
        "ngrams.json",
        "features.ids.int32",
    ],
)
@pytest.mark.parametrize("damage", ["lost", "cut", "junk"])
def test_a_damaged_entry_is_built_once_more(path, tmp_path, file, damage):
    first = contents(open_store(path, tmp_path))
    found = list((tmp_path / "cache").glob(f"*/{file}"))
    assert found
    for damaged in found:
        if damage == "lost":
            damaged.unlink()
        else:
            damaged.write_bytes(damaged.read_bytes()[:-2] if damage == "cut" else b"junk")
    assert contents(open_store(path, tmp_path)) == first
    assert contents(open_store(path, tmp_path)) == first


BUILD = """
import sys
from pathlib import Path
from askagain.corpus.cache import Cache
from askagain.corpus.store_files import bag_writer
from askagain.corpus.token_store import TokenStore
from askagain.text.preprocessor import TextPreprocessor
store = TokenStore(Path(sys.argv[1]), 2, "error", Cache(Path(sys.argv[2])))
print(len(store.texts), store.words(TextPreprocessor()).total)
"""


def test_processes_that_start_at_once_do_not_spoil_the_cache(tmp_path):
    path = tmp_path / "train.tsv"
    path.write_text("".join(f"question {i} about {i % 97}\tabout {i % 89} asked {i}\n" for i in range(20_000)))
    starts = [
        subprocess.Popen(
            [sys.executable, "-c", BUILD, str(path), str(tmp_path / "cache")], stdout=subprocess.PIPE, text=True
        )
        for _ in range(3)
    ]
    answers = {process.communicate(timeout=120)[0] for process in starts}
    assert [process.returncode for process in starts] == [0, 0, 0]
    assert len(answers) == 1 and answers.pop().startswith("40000 ")
    entries = [path.name for path in (tmp_path / "cache").iterdir() if path.is_dir()]
    assert sorted(name.split("-")[0] for name in entries) == ["hashes", "texts", "words"]


def test_corpus_files_are_found_plain_or_gzip_and_a_given_path_wins(tmp_path):
    (tmp_path / "train.tsv").write_text("a\tb\n")
    (tmp_path / "validation.tsv.gz").write_bytes(b"")
    other = tmp_path / "other.tsv"
    other.write_text("c\td\n")
    files = CorpusFiles.locate(str(tmp_path), train_path=str(other))
    assert files.file("train") == other
    assert files.file("validation") == tmp_path / "validation.tsv.gz"
    assert files.test is None and files.corpus is None
    (tmp_path / "validation.tsv").touch()
    with pytest.raises(InputError, match=r"has both validation\.tsv and validation\.tsv\.gz; remove one of them"):
        CorpusFiles.locate(str(tmp_path))


def corpus_in(folder):
    return Corpus(CorpusFiles.locate(str(folder)), CLEAN, Cache(folder / "cache"), "error")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda folder: CorpusFiles.locate(str(folder / "nope")), "nope: no such folder"),
        (lambda folder: CorpusFiles.locate(None, test_path=str(folder / "t.tsv")), "t.tsv: no such file"),
        (lambda folder: CorpusFiles.locate(str(folder)).file("train"), "no train.tsv in the corpus folder"),
        (lambda folder: CorpusFiles.locate(str(folder)).file("test"), "no test.tsv in the corpus folder"),
        (lambda folder: corpus_in(folder).ranking("dev"), "validation, test"),
    ],
)
def test_a_file_that_is_not_there_is_named(tmp_path, call, message):
    with pytest.raises(InputError, match=message):
        call(tmp_path)


def test_unlabelled_texts_are_read_where_there_are_any(tmp_path):
    (tmp_path / "corpus.txt").write_text("one\ttitle\nanother title\n")
    corpus = corpus_in(tmp_path)
    assert corpus.unlabelled is not None
    assert list(corpus.unlabelled.texts) == ["one\ttitle", "another title"]


ODD = [
    ["Node.js  vs .NET?", "C++-like c++", "a\u00a0b\u2028c d"],
    ["visual basic visual", "ΟΔΟΣ ΟΔΟΣ.", "a.b.c -x-"],
    ["C++-like c++", "where am i", "again where am i", "a.b.c -x-"],
    ["???", "Node.js  vs .NET?"],
    ["where was c++", "am i again"],
]
PREPROCESSORS = {
    "cleaning": TextPreprocessor("?!-./", 1, "english", ("c++", ".net", "node.js")),
    "wordpunct": TextPreprocessor(split="wordpunct"),
    "a term with a space": TextPreprocessor("?.", protected_terms=("visual basic",)),
    "a pattern over spaces": TextPreprocessor(split="regex", pattern=r"[a-z]+ [a-z]+|\w+"),
}


@pytest.mark.parametrize("preprocessor", PREPROCESSORS.values(), ids=PREPROCESSORS)
@pytest.mark.parametrize("size", [1, 40, 1 << 20])
@pytest.mark.parametrize("is_scarce", [False, True], ids=["ample memory", "scarce memory"])
def test_a_store_holds_what_a_plain_loop_finds_whatever_it_works_on_at_a_time(
    tmp_path, preprocessor, size, is_scarce, monkeypatch
):
    if is_scarce:  # as it is with millions of tokens
        monkeypatch.setattr(token_store, "write_texts", partial(write_texts, most_tokens=3))
        monkeypatch.setattr(store_files, "FEW_TOKENS", 0)
        monkeypatch.setattr(features_module, "MANY_TOKENS", 0)
    path = tmp_path / "train.tsv"
    path.write_text("".join("\t".join(row) + "\n" for row in ODD), encoding="utf-8")
    store = TokenStore(path, 2, "error", Cache(tmp_path / "cache"), texts_per_block=min(size, 3), piece_bytes=size)
    texts = list(dict.fromkeys(text for row in ODD for text in row))
    assert list(store.texts) == texts
    assert [[texts[i] for i in store.rows.bag(row)] for row in range(len(ODD))] == ODD
    words = Counter(word for text in texts for word in preprocessor.words(text))
    assert dict(zip(store.words(preprocessor).words, store.words(preprocessor).counts, strict=True)) == words
    features = store.count_features(preprocessor, FeatureSettings(kind="words_trigrams"))
    bags = store.features(preprocessor, features)
    for number, text in enumerate(texts):
        expected = [i for word in preprocessor.words(text) for i in word_ids(features, word)]
        assert bags.bag(number).tolist() == sorted(expected)
    tokens = (store._file.folder / "tokens.txt").read_text(encoding="utf-8").split("\n")[:-1]
    assert (len(set(tokens)) < len(tokens)) == (is_scarce and size < 1 << 20)
    assert list(store._file.tokens) == tokens and isinstance(store._file.tokens, list) == (not is_scarce)
    assert store._file.tokens[-1] == tokens[-1] and store._file.tokens[2:5] == tokens[2:5]


def test_a_file_changed_in_place_is_read_again_also_where_size_and_time_stay_the_same(path, tmp_path):
    cache = Cache(tmp_path / "cache")
    old = time.time() - 100
    os.utime(path, (old, old))
    first = cache.content_digest(path)
    assert cache.content_digest(path) == first
    path.write_text(GROUPS.replace("disk", "dusk"))
    os.utime(path, (old, old))
    assert cache.content_digest(path) != first


def test_a_digest_is_remembered_when_the_file_has_settled(path, tmp_path, monkeypatch):
    cache = Cache(tmp_path / "cache", settled_seconds=-1)
    first = cache.content_digest(path)
    monkeypatch.setattr(cache_module.hashlib, "file_digest", None)
    assert cache.content_digest(path) == first


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="has no disk that is always full")
def test_a_full_disk_is_told_by_its_number(tmp_path):
    (tmp_path / "bags.ids.int32").symlink_to("/dev/full")
    with pytest.raises(OSError) as failed, bag_writer(tmp_path / "bags") as append:
        append(np.zeros(100_000, np.int32), np.array([100_000]))
    assert failed.value.errno == errno.ENOSPC
