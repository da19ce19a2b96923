import importlib
import json
import random
import sys

import nltk
import nltk.corpus
import pytest

from askagain.errors import InputError
from askagain.text.preprocessor import TextPreprocessor, WordSplitter
from askagain.text.stop_words import stop_words


def test_text_is_lower_cased_and_white_space_collapses():
    assert TextPreprocessor()("  How \t do\u00a0I\n\nSTOP  it ") == "how do i stop it"


def test_case_stays_where_lower_casing_is_off():
    assert TextPreprocessor(lowercase=False)("NullPointerException in Java") == "NullPointerException in Java"


@pytest.mark.parametrize("characters", ["?,-", ("?", ",", "-"), ["?", ",", "-"]])
def test_given_characters_become_spaces_as_string_tuple_or_list(characters):
    assert TextPreprocessor(characters)("apt-get, dpkg? a.b") == "apt get dpkg a.b"


def test_words_shorter_than_the_minimum_are_dropped():
    assert TextPreprocessor(min_word_length=3)("go to the io bus") == "the bus"


def test_stop_words_are_dropped():
    assert TextPreprocessor(stopwords=["how", "to"])("How to mount how-to") == "mount how-to"


def test_protected_terms_survive_characters_length_and_stop_words():
    preprocessor = TextPreprocessor("().+#/,", 3, ["c++"], ["c++", "C#", ".net", "node.js"])
    words = preprocessor.words("(C++)/c# or .NET, node.js. Done.")
    assert words == ["c++", "c#", ".net", "node.js", "done"]


def test_a_protected_term_inside_a_longer_word_is_not_protected():
    preprocessor = TextPreprocessor(".+#", protected_terms=[".net", "c++", "c"])
    assert preprocessor.words("foo.net c++11 abc c") == ["foo", "net", "c", "11", "abc", "c"]


def test_the_longest_protected_term_wins():
    assert TextPreprocessor("-", protected_terms=["apt", "apt-get"]).words("apt-get") == ["apt-get"]


def test_wordpunct_parts_letters_from_punctuation():
    assert TextPreprocessor(split="wordpunct").words("can't boot (12.04)") == [
        *("can", "'", "t", "boot", "(", "12", ".", "04", ")")
    ]


def test_every_match_of_a_regular_expression_is_a_word_groups_or_not():
    assert TextPreprocessor(split="regex", pattern=r"(\d+)\.(\d+)|[a-z]+").words("Ubuntu 12.04!") == ["ubuntu", "12.04"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"split": "spaces"}, "whitespace, wordpunct, regex"),
        ({"split": "regex"}, "pattern"),
        ({"split": "regex", "pattern": "("}, "not a regular expression"),
        ({"characters": ["ab"]}, "'ab' is not one character"),
        ({"stopwords": "klingon"}, "no such list and no such file"),
    ],
)
def test_bad_settings_are_named(settings, message):
    with pytest.raises(InputError, match=message):
        TextPreprocessor(**settings)


@pytest.mark.parametrize("name", ["english", "sklearn", "gensim"])
def test_named_lists_hold_function_words_and_no_content_words(name):
    words = stop_words(name)
    assert {"the", "how", "is"} <= words
    assert not {"ubuntu", "install", "error", "python"} & words


def test_no_stop_words_with_none():
    assert stop_words("none") == frozenset()


def test_stop_words_come_from_a_file(tmp_path):
    path = tmp_path / "stop.txt"
    path.write_bytes(b"\xef\xbb\xbfmount\r\n\r\n disk \n")
    assert stop_words(str(path)) == {"mount", "disk"}


def test_a_stop_word_file_that_is_not_utf8_is_named_with_its_line(tmp_path):
    path = tmp_path / "stop.txt"
    path.write_bytes(b"one\ntwo\nca\xe9\n")
    with pytest.raises(InputError, match=r"stop\.txt, line 3: not UTF-8"):
        stop_words(str(path))


class NltkCorpus:
    """Stands in for NLTK's stop words, which are here only where somebody downloaded them."""

    def __init__(self, there: bool) -> None:
        self.there = there

    def words(self, language: str) -> list[str]:
        if not self.there:
            raise LookupError
        return [f"of {language}"]


@pytest.mark.parametrize("there", [True, False], ids=["at hand", "downloaded"])
def test_nltk_stop_words_are_those_of_its_corpus_downloaded_where_need_be(monkeypatch, there):
    corpus = NltkCorpus(there)
    monkeypatch.setattr(nltk.corpus, "stopwords", corpus)
    monkeypatch.setattr(nltk, "download", lambda name, quiet: setattr(corpus, "there", name == "stopwords"))
    assert stop_words("nltk") == {"of english"}


def test_what_to_do_offline_is_said_where_the_nltk_corpus_cannot_be_had(monkeypatch):
    monkeypatch.setattr(nltk.corpus, "stopwords", NltkCorpus(there=False))
    monkeypatch.setattr(nltk, "download", lambda name, quiet: False)
    with pytest.raises(InputError, match=r"python -m nltk\.downloader stopwords.*stopwords=english"):
        stop_words("nltk")


def test_settings_make_the_same_preprocessor_again():
    one = TextPreprocessor("?.#", 2, "english", ["c#"], split="regex", pattern=r"\S+")
    other = TextPreprocessor(**one.to_dict())
    assert other.fingerprint == one.fingerprint
    assert other("How do I use C# here?") == one("How do I use C# here?") == "use c#"


def test_every_setting_counts_in_the_fingerprint():
    settings = (
        {},
        {"characters": "?"},
        {"min_word_length": 2},
        {"stopwords": "english"},
        {"protected_terms": ["c#"]},
        {"lowercase": False},
        {"split": "wordpunct"},
        {"split": "regex", "pattern": "a"},
        {"split": "regex", "pattern": "b"},
    )
    assert len({TextPreprocessor(**each).fingerprint for each in settings}) == len(settings)


ALPHABET = [
    "a",
    "B",
    "c",
    "#",
    "+",
    ".",
    "net",
    " ",
    "  ",
    "\t",
    "\n",
    "\0",
    "-",
    "İ",
    "Σ",
    "é",
    "\u00a0",
    "\u2028",
    "",
]


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"characters": ".-\n"},
        {"characters": ".-", "min_word_length": 2, "stopwords": ["bc"]},
        {"characters": "+#.", "protected_terms": ["c++", "c#", ".net", "b.c"], "min_word_length": 3},
        {"characters": ".", "protected_terms": ["a\nb", "c"]},
        {"lowercase": False, "protected_terms": ["B"]},
        {"split": "wordpunct", "protected_terms": ["c#"]},
        {"split": "regex", "pattern": r"\w+\s\w+"},
    ],
)
def test_texts_that_are_cleaned_as_one_have_the_words_they_have_by_themselves(settings):
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    preprocessor = TextPreprocessor(**settings)
    for letters in (ALPHABET, [letter for letter in ALPHABET if letter not in "\n\0"]):
        for count in (0, 1, 2, 30):
            texts = ["".join(rng.choices(letters, k=rng.randrange(12))) for _ in range(count)]
            words, lengths = preprocessor.words_of_all(texts)
            expected = [preprocessor.words(text) for text in texts]
            assert lengths.tolist() == [len(some) for some in expected]
            assert words == [word for some in expected for word in some]


class Halves(WordSplitter):
    """Splits a text in its middle."""

    def __init__(self, shift: int = 0) -> None:
        self.shift = shift

    def __call__(self, text: str) -> list[str]:
        middle = len(text) // 2 + self.shift
        return [text[:middle], text[middle:]]


def test_a_splitter_of_ones_own_is_recorded_with_its_arguments_and_made_again():
    preprocessor = TextPreprocessor(split=Halves(1), min_word_length=2)
    assert preprocessor.words("ABCdef") == ["abcd", "ef"]
    again = TextPreprocessor(**json.loads(json.dumps(preprocessor.to_dict())))
    assert again.words("ABCdef") == ["abcd", "ef"] and again.fingerprint == preprocessor.fingerprint
    assert TextPreprocessor(split=Halves(), min_word_length=2).fingerprint != preprocessor.fingerprint
    words, lengths = preprocessor.words_of_all(["abcd ef", "gh"])
    assert (words, lengths.tolist()) == (["abcd", " ef", "gh"], [2, 1])


@pytest.mark.parametrize("target", ["os.system", "no.such.module.Splitter", "json.JSONDecoder"])
def test_a_saved_splitter_imports_and_calls_nothing(target):
    with pytest.raises(InputError, match=rf"^words are split by {target}, which was not imported"):
        TextPreprocessor(split={"_target_": target, "command": "false"})


def test_a_changed_helper_of_a_splitter_or_of_its_base_changes_the_fingerprint(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    base = "from askagain.text.preprocessor import WordSplitter\nMARK = '{}'\n\n\nclass Base(WordSplitter):\n    pass\n"
    own = "from split_base import Base\nMARK = '{}'\n\n\nclass Own(Base):\n    __call__ = lambda self, text: [text]\n"

    def fingerprint(mark: str, base_mark: str) -> str:
        (tmp_path / "split_base.py").write_text(base.format(base_mark))
        (tmp_path / "split_own.py").write_text(own.format(mark))
        for name in ("split_base", "split_own"):
            monkeypatch.delitem(sys.modules, name, raising=False)
        importlib.invalidate_caches()
        return TextPreprocessor(split=importlib.import_module("split_own").Own()).fingerprint

    assert fingerprint("a", "a") == fingerprint("a", "a")
    assert len({fingerprint("a", "a"), fingerprint("b", "a"), fingerprint("a", "b")}) == 3
