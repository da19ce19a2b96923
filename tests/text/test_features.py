import copy
import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from zlib import crc32

import numpy as np
import pytest

from askagain.errors import InputError
from askagain.text import ngrams as ngrams_module
from askagain.text.features import Features, FeatureSettings
from askagain.text.ngrams import NgramTokenizer, letter_ngrams
from askagain.text.preprocessor import TextPreprocessor
from askagain.text.text_tokenizer import TextTokenizer
from askagain.text.token_words import TokenWords, token_words
from askagain.text.vocabulary import WordVocabulary
from tests.text.plain_features import word_ids

TEXTS = ["mount disk", "mount usb disk disk", "", "where usb"]


def words_of(texts=TEXTS, preprocessor=None) -> TokenWords:
    preprocessor = preprocessor or TextPreprocessor()
    tokens = Counter(token for text in texts for token in (text.split(" ") if preprocessor.by_token else [text]))
    return token_words(tokens, np.array(list(tokens.values())), preprocessor)


def bags_of(features, texts=TEXTS):
    return TextTokenizer(TextPreprocessor(), features)(texts)


def test_trigrams_of_where():
    assert letter_ngrams("where") == ["#wh", "whe", "her", "ere", "re#"]


def test_a_word_of_one_letter_has_one_trigram():
    assert letter_ngrams("c") == ["#c#"]


def test_unknown_trigrams_are_skipped_and_repeats_kept():
    tokenizer = NgramTokenizer.from_words(["banana"])
    known = {word: [tokenizer.ngrams[i] for i in tokenizer.indices(word)] for word in ("banana", "bananx")}
    assert known == {"banana": ["#ba", "ban", "ana", "nan", "ana", "na#"], "bananx": ["#ba", "ban", "ana", "nan"]}
    assert tokenizer.indices("xyz") == []
    assert tokenizer.vocab_size == 5


def test_the_commonest_trigrams_are_kept_where_their_number_is_bounded():
    tokenizer = NgramTokenizer.from_words(["where", "there", "here"], max_size=2)
    assert tokenizer.ngrams == ["her", "ere"]  # in all three words, and first met in this order


@pytest.mark.parametrize("sizes", [(3,), (5, 2, 3)])
def test_ngrams_are_counted_as_by_a_counter_and_looked_up_alike_whatever_the_blocks(sizes, monkeypatch):
    monkeypatch.setattr(ngrams_module, "WORDS_PER_BLOCK", 7)
    rng = np.random.default_rng(3)
    words = ["", *("".join(rng.choice(list("abcé日😀"), size)) for size in rng.integers(0, 9, 100))]
    counts = Counter(ngram for word in words for ngram in letter_ngrams(word, sizes))
    for most in (None, 20):
        tokenizer = NgramTokenizer.from_words(words, most, sizes)
        assert tokenizer.ngrams == [ngram for ngram, _ in counts.most_common(most)]
    bags = tokenizer.bags([*words, "unknown"])
    assert [bags.bag(i).tolist() for i in range(len(bags))] == [tokenizer.indices(word) for word in [*words, "unknown"]]
    assert NgramTokenizer.from_words([], sizes=sizes).ngrams == [] and len(tokenizer.bags([])) == 0


def test_ngrams_of_several_sizes_one_size_after_the_other():
    assert letter_ngrams("disk", (2, 4)) == ["#d", "di", "is", "sk", "k#", "#dis", "disk", "isk#"]
    assert letter_ngrams("c", (3, 4)) == ["#c#"]  # none of four letters


def test_known_ngrams_of_several_sizes_are_counted_together():
    tokenizer = NgramTokenizer.from_words(["banana", "ban"], max_size=3, sizes=(2, 3))
    assert tokenizer.ngrams == ["an", "#b", "ba"]  # three times, and first met of those that are there twice
    assert NgramTokenizer.from_words(["disk"], sizes=(3, 5)).ngrams == ["#di", "dis", "isk", "sk#", "#disk", "disk#"]


def test_hashed_ngrams_are_all_known_and_have_the_same_index_in_every_process():
    tokenizer = NgramTokenizer.from_words(["disk"], sizes=(3, 4), buckets=1000)
    assert tokenizer.vocab_size == 1000 and tokenizer.ngrams == []
    expected = [crc32(ngram.encode()) % 1000 for ngram in letter_ngrams("größe", (3, 4))]
    assert tokenizer.indices("größe") == expected == NgramTokenizer([], (3, 4), 1000).indices("größe")
    assert tokenizer.indices("#di"[1:]) == [crc32(b"#di") % 1000, crc32(b"di#") % 1000, crc32(b"#di#") % 1000]
    assert NgramTokenizer([], (3,), 7).indices("a lone surrogate: \ud800")  # of a string, never of a file


def test_vocabulary_keeps_frequent_words_first_and_the_order_of_ties():
    vocabulary = WordVocabulary.from_counts(["a", "b", "c", "d"], np.array([2, 5, 2, 1]), min_count=2)
    assert vocabulary.words == ["b", "a", "c"]
    assert WordVocabulary.from_counts(["a", "b", "c"], np.array([2, 5, 2]), max_size=2).words == ["b", "a"]


def test_vocabulary_gives_minus_one_for_an_unknown_word():
    vocabulary = WordVocabulary(["x", "y"])
    assert vocabulary.indices(["y", "z", "x"]).tolist() == [1, -1, 0]
    assert "x" in vocabulary and "z" not in vocabulary


def test_word_counts_and_the_share_of_known_words():
    words = words_of()
    assert dict(zip(words.words, words.counts.tolist(), strict=True)) == {"mount": 2, "disk": 3, "usb": 2, "where": 1}
    assert words.total == 8
    assert words.known_share(WordVocabulary(["disk", "usb"])) == pytest.approx(5 / 8)
    assert words_of([""]).known_share(WordVocabulary([])) == 1.0


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("words", [["disk"], []]),
        ("trigrams", [["#di", "dis", "isk", "sk#"], ["#di", "dis"]]),
        ("words_trigrams", [["disk", "#di", "dis", "isk", "sk#"], ["#di", "dis"]]),
        ("words_else_trigrams", [["disk"], ["#di", "dis"]]),
    ],
)
def test_which_features_a_known_and_an_unknown_word_has(kind, expected):
    vocabulary = WordVocabulary(["disk"] if "words" in kind else [])
    tokenizer = NgramTokenizer.from_words(["disk"] if "trigrams" in kind else [])
    features = Features(kind, vocabulary, tokenizer)
    names = vocabulary.words + tokenizer.ngrams
    assert features.size == len(names)
    found = features.word_bags(["disk", "disx"])
    assert [[names[i] for i in found.bag(row)] for row in range(2)] == expected


def test_words_and_hashed_ngrams_share_a_table_and_have_names():
    features = Features.from_words(words_of(), FeatureSettings("words_trigrams", ngram_sizes=(3, 4), ngram_buckets=10))
    words = len(features.vocabulary)
    assert features.size == words + 10
    found = word_ids(features, "never-met")
    assert len(found) == len(letter_ngrams("never-met", (3, 4))) and all(words <= i < words + 10 for i in found)
    assert [features.name(i) for i in (0, words, words + 9)] == ["disk", "[bucket 0]", "[bucket 9]"]
    four = Features.from_words(words_of(), FeatureSettings("trigrams", ngram_sizes=[4]))
    assert four.name(word_ids(four, "disk")[0]) == "[#dis]"


def test_a_text_is_the_bag_of_its_words_features_and_an_empty_text_an_empty_bag():
    features = Features.from_words(words_of(), FeatureSettings("words"))
    lengths = bags_of(features).lengths
    assert lengths.tolist() == [2, 4, 0, 2]


@pytest.mark.parametrize(
    "settings",
    [
        {"kind": "words"},
        {"kind": "trigrams"},
        {"kind": "words_trigrams", "max_words": 5},
        {"kind": "words_else_trigrams", "max_words": 5},
        {"kind": "words_trigrams", "ngram_sizes": [2, 3, 5, 8], "max_trigrams": 40},
        {"kind": "trigrams", "ngram_sizes": [3, 4], "ngram_buckets": 7},
    ],
    ids=str,
)
def test_features_of_many_words_are_those_of_each(settings):
    texts = ["größe disk", "a 日本語 \U0001f600x disk", "mount disks " + "x" * 40, "\ud800 lone"]
    features = Features.from_words(words_of(texts), FeatureSettings(**settings))
    words = ["disk", "größe", "never", "a", "", "\U0001f600", "\ud800", "日本", "xx", "mounts", "disk"]
    bags = features.word_bags(words)
    assert [bags.bag(i).tolist() for i in range(len(words))] == [word_ids(features, word) for word in words]
    assert len(features.word_bags([])) == 0


def test_the_order_of_words_does_not_change_the_bag():
    features = Features.from_words(words_of(), FeatureSettings("words_trigrams"))
    bags = bags_of(features, ["mount usb disk", "disk mount usb"])
    assert bags.bag(0).tolist() == bags.bag(1).tolist()


def test_features_are_saved_as_json_and_read_back(tmp_path):
    features = Features.from_words(words_of(), FeatureSettings("words_trigrams"))
    features.save(tmp_path)
    assert json.loads((tmp_path / "words.json").read_text()) == features.vocabulary.words
    assert Features.load(tmp_path, "words_trigrams").fingerprint == features.fingerprint


@pytest.mark.parametrize("settings", [{}, {"ngram_sizes": [3, 4]}, {"ngram_sizes": [3], "ngram_buckets": 50}])
def test_ngrams_are_saved_with_their_sizes_and_buckets_and_read_back(tmp_path, settings):
    features = Features.from_words(words_of(), FeatureSettings("words_trigrams", **settings))
    features.save(tmp_path)
    read = Features.load(tmp_path, "words_trigrams")
    assert read.fingerprint == features.fingerprint
    assert word_ids(read, "mounted") == word_ids(features, "mounted")


@pytest.mark.parametrize(
    "content",
    [
        "[]",
        '{"sizes": [3], "buckets": 0, "ngrams": []}',
        '{"sizes": [99], "buckets": 5, "ngrams": []}',
        '{"sizes": 3, "buckets": 5, "ngrams": []}',
        '{"sizes": [4], "buckets": null, "ngrams": ["disk", "disk"]}',
        '{"sizes": [4], "ngrams": ["disk"]}',
    ],
)
def test_saved_ngrams_that_are_none_are_refused(tmp_path, content):
    (tmp_path / "ngrams.json").write_text(content)
    with pytest.raises(ValueError, match=r"ngrams\.json"):
        NgramTokenizer.load(tmp_path)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"ngram_sizes": []}, r"ngram_sizes=\[\]: must be different whole numbers from 2 to 8"),
        ({"ngram_sizes": [1, 3]}, "ngram_sizes"),
        ({"ngram_sizes": [3, 9]}, "ngram_sizes"),
        ({"ngram_sizes": [3, 3]}, "ngram_sizes"),
        ({"ngram_buckets": 0}, "ngram_buckets=0: must be from 1"),
        ({"ngram_buckets": 9, "max_trigrams": 5}, "max_trigrams=5: with ngram_buckets=9"),
    ],
)
def test_settings_of_ngrams_that_are_of_no_use_are_named(settings, message):
    with pytest.raises(InputError, match=message):
        FeatureSettings("words_trigrams", **settings)


def test_kind_words_and_trigrams_all_count_in_the_fingerprint():
    words, trigrams = WordVocabulary(["disk"]), NgramTokenizer(["#di"])
    prints = {
        Features("words_trigrams", words, trigrams).fingerprint,
        Features("words_else_trigrams", words, trigrams).fingerprint,
        Features("words_trigrams", WordVocabulary(["usb"]), trigrams).fingerprint,
        Features("words_trigrams", words, NgramTokenizer(["dis"])).fingerprint,
        Features("words_trigrams", words, NgramTokenizer(["#di"], sizes=(3, 4))).fingerprint,
        Features("words_trigrams", words, NgramTokenizer(buckets=5)).fingerprint,
        Features("words_trigrams", words, NgramTokenizer(buckets=6)).fingerprint,
    }
    assert len(prints) == 7


@pytest.mark.parametrize("bound", ["min_count", "max_words", "max_trigrams"])
def test_bounds_below_one_are_refused(bound):
    with pytest.raises(InputError, match=f"^{bound}=0"):
        Features.from_words(words_of(), FeatureSettings("words_trigrams", **{bound: 0}))


@pytest.mark.parametrize("content", ['{"a": 0}', '["a", 1]', '["a", "a"]', '"abc"'])
def test_a_saved_vocabulary_that_is_no_list_of_distinct_strings_is_refused(tmp_path, content):
    (tmp_path / "words.json").write_text(content)
    with pytest.raises(ValueError, match=r"words\.json"):
        WordVocabulary.load(tmp_path / "words.json")


def test_another_kind_is_refused():
    with pytest.raises(InputError, match="words_trigrams"):
        Features("letters", WordVocabulary([]), NgramTokenizer())


PREPROCESSORS = {
    "plain": TextPreprocessor(),
    "cleaning": TextPreprocessor("?!-./", 2, "english", ("c++", ".net", "node.js")),
    "wordpunct": TextPreprocessor(split="wordpunct"),
    "a term with a space": TextPreprocessor("?.", protected_terms=("visual basic",)),
    "a pattern over spaces": TextPreprocessor(split="regex", pattern=r"[a-z]+ [a-z]+|\w+"),
}
ODD_TEXTS = [
    "Node.js  vs .NET?",
    "C++-like c++",
    "a\u00a0b\u2028c d",
    " visual basic visual",
    "ΟΔΟΣ ΟΔΟΣ.",
    "a.b.c -x-",
]


@pytest.mark.parametrize("preprocessor", PREPROCESSORS.values(), ids=PREPROCESSORS)
@pytest.mark.parametrize("remembered", [1, 1000])
def test_bags_do_not_depend_on_what_was_met_before(preprocessor, remembered):
    features = Features.from_words(words_of(ODD_TEXTS, preprocessor), FeatureSettings("words_trigrams"))
    tokenizer = TextTokenizer(preprocessor, features, remembered)
    expected = [sorted(i for word in preprocessor.words(text) for i in word_ids(features, word)) for text in ODD_TEXTS]
    for texts in (ODD_TEXTS[:2], ODD_TEXTS, ODD_TEXTS[::-1], [], ODD_TEXTS):
        bags = tokenizer(texts)
        assert [bags.bag(i).tolist() for i in range(len(bags))] == [expected[ODD_TEXTS.index(text)] for text in texts]


class Interrupted(TextPreprocessor):
    """Is interrupted when it comes to a certain word, as by Ctrl-C."""

    def words_of_all(self, texts):
        if "stop" in texts:
            raise KeyboardInterrupt
        return super().words_of_all(texts)


def test_a_call_that_is_interrupted_leaves_the_tokenizer_as_good_as_new():
    features = Features.from_words(words_of(), FeatureSettings("words"))
    tokenizer = TextTokenizer(Interrupted(), features)
    with pytest.raises(KeyboardInterrupt):
        tokenizer(["usb stop disk"])
    expected = bags_of(features).ids.tolist()
    assert tokenizer(TEXTS).ids.tolist() == expected
    assert copy.deepcopy(tokenizer)(TEXTS).ids.tolist() == expected


def test_several_threads_may_tokenize_at_once():
    texts = [f"word{i % 50} number{i}" for i in range(2000)]
    features = Features.from_words(words_of(texts), FeatureSettings("words_trigrams"))
    tokenizer = TextTokenizer(TextPreprocessor(), features, remembered=300)
    expected = [TextTokenizer(TextPreprocessor(), features)([text]).ids.tolist() for text in texts]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda text: tokenizer([text]).ids.tolist(), texts))
    assert found == expected
