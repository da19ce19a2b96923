"""Texts in C beside the same in Python: the ids of every text, and sums to the last bit."""

import numpy as np
import pytest

from askagain.models.table import Table
from askagain.native import library, texts
from askagain.native.texts import END
from askagain.text.bags import Bags
from askagain.text.features import KINDS, Features
from askagain.text.ngrams import NgramTokenizer
from askagain.text.preprocessor import TextPreprocessor
from askagain.text.text_tokenizer import TextTokenizer
from askagain.text.vocabulary import WordVocabulary
from askagain.text.word_pairs import WordPairs

SEED = 7
ODD = [
    "",
    " ",
    "  two  spaces ",
    "ünïcödé 日本語 😀",
    "half of a character \ud800",
    "x" * 5000,
    "a\nb\tc",
    "don't",
    "#a#",
]


def random_texts(rng, count: int) -> list[str]:
    words = ["".join(rng.choice(list("abcdefgh'-."), rng.integers(1, 20))) for _ in range(3000)]
    made = [" ".join(rng.choice(words, rng.integers(0, 60))) for _ in range(count)]
    return [*ODD, *made, *ODD]


def features_of(kind: str, preprocessor: TextPreprocessor, known: list[str]) -> Features:
    """Features of half of the words, of the n-grams of a third, and of some pairs."""
    words, _ = preprocessor.words_of_all(known)
    distinct = list(dict.fromkeys(words))
    vocabulary = WordVocabulary(distinct[::2])
    rng = np.random.default_rng(SEED)
    first, second = rng.integers(0, len(vocabulary), (2, 50_000))
    pairs = WordPairs(np.unique(first << 32 | second)) if "pairs" in kind else None
    return Features(kind, vocabulary, NgramTokenizer.from_words(distinct[::3] if "trigrams" in kind else []), pairs)


@pytest.mark.parametrize("kind", ["words", "words_trigrams", "words_else_trigrams", "words_trigrams_pairs"])
def test_the_ids_of_texts_are_those_that_python_finds(kind, compiled, monkeypatch):
    print(f"seed {SEED}")
    asked = random_texts(np.random.default_rng(SEED), 1500)
    preprocessor = TextPreprocessor("?!.,()", 2, "english")
    features = features_of(kind, preprocessor, asked)
    in_c, in_python = (TextTokenizer(preprocessor, features, remembered=4000) for _ in range(2))
    for part in (asked[:700], asked[300:], asked[:700], ["text with \0 in it"] * 300, asked, asked[:3]):
        own = in_c(part)
        with monkeypatch.context() as patch:
            patch.setattr("askagain.text.token_numbers.token_table", lambda texts: None)
            expected = in_python(part)
        assert (in_c._numbers.table is not None) != (END in part[0])
        assert own.ids.tolist() == expected.ids.tolist() and own.offsets.tolist() == expected.offsets.tolist()
        assert own.ids.dtype == expected.ids.dtype and own.offsets.dtype == expected.offsets.dtype


SIMPLE = {
    "cleaned": TextPreprocessor("?!.,()", 2, "english", protected_terms=("c", "c++", "is", "x1")),
    "as they are": TextPreprocessor(lowercase=False, min_word_length=3),
    "without signs": TextPreprocessor(split="wordpunct", stopwords="english"),
    "one by one": TextPreprocessor("a?"),  # a letter becomes a space
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("preprocessor", SIMPLE.values(), ids=SIMPLE)
def test_simple_tokens_have_the_features_that_python_finds(kind, preprocessor, compiled, monkeypatch):
    print(f"seed {SEED}")
    monkeypatch.setattr("askagain.text.text_tokenizer.MANY_NEW", 1)
    rng = np.random.default_rng(SEED)
    words = [*"acrCX", "is", "The", "the", "ab", "x1", "c++", "X1", "7", "c#", "x" * 64, "x" * 65, "é", "aé", "a_b"]
    words += ["".join(rng.choice(list("abcXYZ012"), rng.integers(1, 9))) for _ in range(1500)]
    asked = [" ".join(rng.choice([*words, "a,b", "(c)", "Is?"], rng.integers(0, 12))) for _ in range(1000)]
    features = features_of(kind, preprocessor, words)
    in_c, in_python = (TextTokenizer(preprocessor, features) for _ in range(2))
    for part in (asked[:300], asked[200:]):
        own = in_c(part)
        with monkeypatch.context() as patch:
            patch.setattr("askagain.text.token_numbers.token_table", lambda texts: None)
            expected = in_python(part)
        assert own.ids.tolist() == expected.ids.tolist() and own.offsets.tolist() == expected.offsets.tolist()
    is_spelled = "trigrams" in kind and "else" not in kind
    assert (in_c._word_table is None) == (is_spelled or "a" in preprocessor.characters)


def test_no_table_of_a_large_vocabulary_is_made_for_few_tokens(compiled, monkeypatch):
    monkeypatch.setattr("askagain.text.text_tokenizer.MANY_NEW", 1)
    words = [f"word{number}" for number in range(8_000)]
    tokenizer = TextTokenizer(TextPreprocessor(), Features("words", WordVocabulary(words), NgramTokenizer()))
    for known, asked in ((500, 500), (1_500, 1_000)):
        bags = tokenizer(words[known - asked : known])
        assert tokenizer._numbers.table is not None
        assert bags.ids.tolist() == list(range(known - asked, known))
        assert (tokenizer._word_table is None) == (known == 500)


def test_words_of_a_table_are_those_of_the_vocabulary(compiled):
    table = texts.token_table(texts.MANY_TEXTS)
    _, _, new = table.number(["how HOW quit vim2 c++ is a ab é " + "x" * 65])
    words = ["quit", "how", "new york", "vim2", "quit", "is", "HOW"]
    found = texts.word_table(words, ["is", "c++"], lowercase=True, shortest=2).find(new)
    assert found.tolist() == [1, 1, 0, 3, -2, -2, -3, -1, -2, -2]
    found = texts.word_table(words, [], lowercase=False, shortest=1).find(new)
    assert found.tolist() == [1, 6, 0, 3, -2, 5, -1, -1, -2, -2]
    assert texts.word_table([], [], True, 1).find(new).tolist() == [-1, -1, -1, -1, -2, -1, -1, -1, -2, -2]
    assert texts.word_table(["a", "b\0c"], [], False, 1) is None


def test_a_tokenizer_goes_on_where_c_is_no_longer_chosen(compiled):
    asked = random_texts(np.random.default_rng(SEED), 500)
    preprocessor = TextPreprocessor()
    tokenizer = TextTokenizer(preprocessor, features_of("words", preprocessor, asked))
    before = tokenizer(asked)
    assert tokenizer._numbers.table is not None
    library.use("plain")
    after = tokenizer(asked)
    library.use("auto", compiled)
    assert texts._library.loaded(wait=True) is not None
    assert np.array_equal(before.ids, after.ids) and len(tokenizer([])) == 0


def test_tokens_that_were_made_to_collide_are_left_to_python(compiled):
    """Eight letters change the hash by what the next eight undo: all of these have one hash."""
    table = texts.token_table(texts.MANY_TEXTS)
    assert table.number(["a b"]) is not None
    colliding = colliding_tokens()
    assert len(set(colliding)) > 256 and all(token.isascii() and len(token) == 16 for token in colliding)
    assert table.number([" ".join(colliding)]) is None
    features = Features("words", WordVocabulary(colliding[::2]), NgramTokenizer())
    asked = [" ".join(colliding)] * texts.MANY_TEXTS
    bags = TextTokenizer(TextPreprocessor(lowercase=False), features)(asked)
    assert bags.bag(0).tolist() == list(range(len(colliding[::2])))


def colliding_tokens() -> list[str]:
    """Tokens of sixteen ASCII letters with one hash, see `hash_of` in texts.c."""
    rng = np.random.default_rng(SEED)
    multiplier, shift = np.uint64(0xFF51AFD7ED558CCD), np.uint64(32)
    start = np.uint64(16 * 0x9E3779B97F4A7C15 % 2**64)
    firsts = rng.integers(97, 123, (1_500_000, 8), dtype=np.uint8)
    mixed = (start ^ firsts.view(np.uint64)[:, 0]) * multiplier
    mixed ^= mixed >> shift
    wanted = mixed[0] ^ np.frombuffer(b"abcdefgh", dtype=np.uint64)[0]
    seconds = (mixed ^ wanted)[:, None].view(np.uint8)
    is_text = ((seconds > 32) & (seconds < 127)).all(axis=1)
    return [bytes(token).decode() for token in np.hstack([firsts, seconds])[is_text]]


def test_texts_are_numbered_in_c_where_they_are_many(compiled):
    table = texts.token_table(texts.MANY_TEXTS)
    assert texts.token_table(texts.MANY_TEXTS - 1) is None
    numbers, offsets, new = table.number(["b a", "", "a  c"])
    assert numbers.tolist() == [0, 1, 2, 1, 2, 3] and offsets.tolist() == [0, 2, 3, 6]
    assert new.strings() == ["b", "a", "", "c"]
    many = [f"t{i}" for i in range(100_000)]
    numbers, _, new = table.number([" ".join(many), "a"])
    assert numbers.tolist() == [*range(4, 100_004), 1] and new.strings() == many and len(table) == 100_004
    table.clear()
    assert len(table) == 0 and table.number(["c"])[0].tolist() == [0]


@pytest.mark.parametrize("dtype", ["float32", "int8"])
def test_sums_are_scipys_to_the_last_bit(dtype, compiled):
    print(f"seed {SEED}")
    rng = np.random.default_rng(SEED)
    table = Table(rng.standard_normal((900, 37)).astype(np.float32)).as_type(dtype)
    bags = Bags.from_lists([rng.integers(0, 900, size).tolist() for size in rng.integers(0, 40, 600)])
    assert len(bags.ids) > texts.MANY_IDS
    own = texts.sums(table.rows, table.scales, bags.ids, bags.offsets)
    assert own is not None and np.array_equal(own, table.sums(bags))
    library.use("plain")
    assert np.array_equal(own, table.sums(bags))
    library.use("auto", compiled)
    assert texts._library.loaded(wait=True) is not None
    for wrong in (900, -1):
        ids = bags.ids.copy()
        ids[5] = wrong
        with pytest.raises(IndexError):
            table.sums(Bags(ids, bags.offsets))
    with pytest.raises(IndexError):
        table.sums(Bags(bags.ids, bags.offsets + 1))
