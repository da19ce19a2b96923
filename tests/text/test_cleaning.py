"""Characters that nobody sees go, accents are composed, and what a script needs stays."""

import unicodedata

import numpy as np
import pytest

from askagain.text import cleaning
from askagain.text.cleaning import cleaned
from askagain.text.preprocessor import TextPreprocessor

SCOTLAND = "\U0001f3f4\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f"


@pytest.mark.parametrize(
    ("text", "expected"),
    {
        "soft hyphen": ("com\u00adpound", "compound"),
        "zero-width space": ("in\u200bstall", "install"),
        "word joiner": ("in\u2060stall", "install"),
        "byte-order mark": ("\ufeffundo a \ufeffcommit", "undo a commit"),
        "marks of direction": ("\u200eleft \u200f\u202aright\u202c \u2066x\u2069", "left right x"),
        "control characters": ("a\x08b\x7f\x9f", "ab"),
        "tags": ("a\U000e0061", "a"),
        "tags of a flag": (SCOTLAND, SCOTLAND),
        "tags behind a flag and something invisible": (f"{SCOTLAND}\u200b\U000e0061", SCOTLAND),
        "composed accent": ("cafe\u0301", "caf\u00e9"),
        "accent behind something invisible": ("cafe\u200b\u0301", "caf\u00e9"),
        "Hangul letters": ("\u1112\u1161\u11ab", "\ud55c"),
        "joiner in Latin": ("a\u200cb\u200dc", "abc"),
        "non-joiner in Persian": ("\u0645\u06cc\u200c\u062e", "\u0645\u06cc\u200c\u062e"),
        "joiner in Devanagari": ("\u0915\u094d\u200d\u0937", "\u0915\u094d\u200d\u0937"),
        "joined emoji": ("\U0001f469\u200d\U0001f4bb", "\U0001f469\u200d\U0001f4bb"),
        "break between words of Thai": (
            "\u0e44\u0e17\u0e22\u200b\u0e44\u0e17\u0e22",
            "\u0e44\u0e17\u0e22 \u0e44\u0e17\u0e22",
        ),
        "white space and NUL": ("a\tb\n\x00c\u00a0d", "a\tb\n\x00c\u00a0d"),
        "half a character": ("a\ud800", "a\ud800"),
    }.values(),
)
def test_what_goes_and_what_stays(text, expected):
    assert cleaned(text) == expected


def test_letters_of_every_script_survive():
    letters = [chr(code) for code in range(0x110000) if unicodedata.category(chr(code)).startswith("L")]
    assert [letter for letter in letters if cleaned(letter) != unicodedata.normalize("NFC", letter)] == []


def test_a_preprocessor_gives_the_same_words_for_texts_that_look_alike():
    plain, hidden = "caf\u00e9 install c++", "cafe\u0301 in\u200bstall c+\u00ad+"
    for settings in ({}, {"split": "wordpunct"}, {"protected_terms": ["c++"]}):
        preprocessor = TextPreprocessor("?", **settings)
        assert preprocessor.words(hidden) == preprocessor.words(plain)
        words, lengths = preprocessor.words_of_all([plain, hidden])
        assert words[: lengths[0]] == words[lengths[0] :] == preprocessor.words(plain)
    assert TextPreprocessor(clean=False).words(hidden) != TextPreprocessor(clean=False).words(plain)


def test_lines_and_cells_are_cleaned_as_their_text_would_be_in_one_piece():
    seed = 17
    print(f"seed {seed}")
    rng = np.random.default_rng(seed)
    characters = ["a", "é", " ", "\n", "\t", "\r", "\u200b", "\u200d", "\u200c", "\u0e01", "\u0301", "\u0308", "\u0340"]
    characters += [
        "\u1100",
        "\u1161",
        "\U0001f3f4",
        "\U000e0067",
        "\U000e007f",
        "\ufeff",
        "\xad",
        "\x01",
        "\u0600",
        "\ufe0f",
    ]
    changed = 0
    for _ in range(20_000):
        text = "".join(rng.choice(characters, rng.integers(0, 12)))
        whole = cleaning.NEVER_SEEN.sub(r"\1", cleaning.WORD_ENDS.sub(" ", text))
        whole = unicodedata.normalize("NFC", cleaning.IDLE_JOINERS.sub("", whole))
        assert cleaned(text) == whole, text.encode("unicode_escape")
        changed += whole != text
    assert changed > 5_000
