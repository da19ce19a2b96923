"""Word pairs against a plain definition in Python, over texts, over the token store and over the tokenizer."""

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from askagain.corpus.cache import Cache
from askagain.corpus.token_store import TokenStore
from askagain.errors import InputError
from askagain.text.bags import Bags
from askagain.text.features import Features, FeatureSettings
from askagain.text.preprocessor import TextPreprocessor
from askagain.text.text_tokenizer import TextTokenizer
from askagain.text.word_pairs import WordPairs
from tests.text.plain_features import word_ids

PREPROCESSORS = {
    "by token": TextPreprocessor("?!-./", 2, "english", ("c++", ".net", "node.js")),
    "a term with a space": TextPreprocessor("?.-", protected_terms=("visual basic",)),
    "a pattern over spaces": TextPreprocessor(split="regex", pattern=r"[a-z]+ on|\w+"),
}
TEXTS = [
    "mount usb-disk on boot",
    "usb disk",
    "",
    "disk usb disk usb",
    "visual basic usb disk?",
    "mount usb.disk",
    "disk",
]


def plain_pairs(preprocessor, text):
    return list(pairwise(preprocessor.words(text)))


def store_of(texts, folder, block=100):
    (folder / "corpus.txt").write_text("".join(f"{text}\n" for text in texts))
    return TokenStore(folder / "corpus.txt", 1, "error", Cache(folder / "cache"), separator=None, texts_per_block=block)


def names(features, pairs):
    words = features.vocabulary.words
    return [(words[key >> 32], words[key & 0xFFFFFFFF]) for key in features.pairs.keys[pairs].tolist()]


@pytest.mark.parametrize("block", [1, 3, 100])
@pytest.mark.parametrize("preprocessor", PREPROCESSORS.values(), ids=PREPROCESSORS)
def test_features_with_pairs_are_those_of_the_plain_definition(preprocessor, block, tmp_path):
    store = store_of([text for text in TEXTS if text], tmp_path, block)
    features = store.count_features(preprocessor, FeatureSettings(kind="words_trigrams_pairs", min_pair_count=2))
    counts = Counter(pair for text in store.texts for pair in plain_pairs(preprocessor, text))
    wanted = {pair for pair, count in counts.items() if count >= 2}
    assert wanted and set(names(features, slice(None))) == wanted
    assert features.size == len(features.vocabulary) + features.tokenizer.vocab_size + len(wanted)

    index = {pair: features.size - len(wanted) + i for i, pair in enumerate(names(features, slice(None)))}
    unseen = [*TEXTS, "unheard usb disk", "usb unheard disk", "boot disk usb"]

    def plain(text):
        single = [i for word in preprocessor.words(text) for i in word_ids(features, word)]
        return sorted(single + [index[pair] for pair in plain_pairs(preprocessor, text) if pair in index])

    numbered = [*store.numbered_texts(preprocessor, features.vocabulary)]
    assert WordPairs.from_texts(numbered, 2, merged_at=2).keys.tolist() == features.pairs.keys.tolist()

    for remembered in (1, 1000):
        tokenizer = TextTokenizer(preprocessor, features, remembered)
        for texts in (unseen, unseen[::-1], [], unseen[3:]):
            bags = tokenizer(texts)
            assert [bags.bag(i).tolist() for i in range(len(bags))] == [plain(text) for text in texts]
    stored = store.features(preprocessor, features)
    assert [stored.bag(i).tolist() for i in range(len(stored))] == [plain(text) for text in store.texts]


def test_random_texts_have_the_pairs_that_a_loop_finds():
    seed = np.random.SeedSequence().entropy
    print(f"seed {seed}")
    rng = np.random.default_rng(seed)
    texts = [rng.integers(-1, 6, size=rng.integers(0, 9)).tolist() for _ in range(200)]
    counts = Counter(pair for text in texts for pair in pairwise(text) if -1 not in pair)
    pairs = WordPairs.from_texts([Bags.from_lists(texts[:70]), Bags.from_lists(texts[70:])], min_count=10)
    kept = sorted(pair for pair, count in counts.items() if count >= 10)
    assert [(key >> 32, key & 0xFFFFFFFF) for key in pairs.keys.tolist()] == kept
    found = pairs.indices(Bags.from_lists(texts))
    for row, text in enumerate(texts):
        assert found.bag(row).tolist() == [kept.index(pair) for pair in pairwise(text) if pair in kept]


def test_the_most_frequent_pairs_are_kept_where_their_number_is_bounded():
    texts = Bags.from_lists([[0, 1, 2], [1, 2], [2, 0], [1, 2, 0]])
    assert [(k >> 32, k & 0xFFFFFFFF) for k in WordPairs.from_texts([texts], 1, 2).keys.tolist()] == [(1, 2), (2, 0)]


def test_a_pair_does_not_cross_an_unknown_word_or_two_texts():
    pairs = WordPairs.from_texts([Bags.from_lists([[0, 1]])])
    assert pairs.indices(Bags.from_lists([[0, -1, 1], [0], [1], [0, 1]])).lengths.tolist() == [0, 0, 0, 1]


def test_pairs_are_saved_and_read_back_and_count_in_the_fingerprint(tmp_path):
    features = store_of(TEXTS[:2], tmp_path).count_features(
        PREPROCESSORS["by token"], FeatureSettings(kind="words_pairs", min_pair_count=1)
    )
    features.save(tmp_path)
    read = Features.load(tmp_path, "words_pairs")
    assert read.pairs.keys.tolist() == features.pairs.keys.tolist() and read.fingerprint == features.fingerprint
    without = Features("words_pairs", features.vocabulary, features.tokenizer)
    assert without.fingerprint != features.fingerprint


@pytest.mark.parametrize("keys", [[5], [(1 << 32) | 9], [1, 1], [2, 1], [-1]])
def test_saved_pairs_of_other_words_or_out_of_order_are_refused(keys, tmp_path):
    WordPairs(np.array(keys)).save(tmp_path / "pairs.safetensors")
    with pytest.raises(ValueError, match=r"pairs\.safetensors"):
        WordPairs.load(tmp_path / "pairs.safetensors", words=4)


def test_a_damaged_file_of_pairs_is_refused(tmp_path):
    (tmp_path / "pairs.safetensors").write_bytes(b"x" * 100)
    with pytest.raises(ValueError, match=r"pairs\.safetensors"):
        WordPairs.load(tmp_path / "pairs.safetensors", words=4)


def test_a_pair_that_is_needed_less_than_once_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"^min_pair_count=0"):
        store_of(TEXTS[:2], tmp_path).count_features(
            TextPreprocessor(), FeatureSettings(kind="words_pairs", min_pair_count=0)
        )
