"""Questions of several fields: what is read of each, how it is marked and what it weighs."""

import numpy as np
import pytest
import torch

from askagain.errors import InputError
from askagain.models.bag_encoder import BagEncoder
from askagain.models.folder import load_encoder, save_encoder
from askagain.text.bags import Bags
from askagain.text.features import Features, FeatureSettings
from askagain.text.fields import Fields, readable, title_of
from askagain.text.preprocessor import TextPreprocessor
from askagain.text.token_words import TokenWords, token_words

FIELDS = Fields(["title", "body", "tags"], {"body": 4}, {"body": 0.5, "tags": 0.25})
RECORD = {"title": "Quit vim", "body": "I  pressed:\n(escape) twice, then more", "tags": ["vim", "text-editor"]}
BODY, TAGS = "\ufdd1", "\ufdd2"


@pytest.fixture
def preprocessor():
    return TextPreprocessor(characters=":(),-", stopwords=["i"], fields=FIELDS)


def test_words_of_each_field_are_marked_after_cleaning(preprocessor):
    text = FIELDS.compose(RECORD)
    assert preprocessor.words(text) == [
        "quit", "vim", f"{BODY}pressed", f"{BODY}escape", f"{BODY}twice", f"{TAGS}vim", f"{TAGS}text", f"{TAGS}editor",
    ]  # fmt: skip
    assert title_of(text) == "Quit vim"
    assert readable(text) == "Quit vim I pressed: (escape) twice, vim text-editor"
    assert FIELDS.named(f"{BODY}pressed {TAGS}vim") == "body:pressed tags:vim"


def test_texts_read_together_have_the_words_of_each_read_alone(preprocessor):
    texts = [FIELDS.compose(RECORD), "plain title", FIELDS.compose({"title": "a", "tags": "b"}), BODY]
    words, lengths = preprocessor.words_of_all(texts)
    assert words == [word for text in texts for word in preprocessor.words(text)]
    assert lengths.tolist() == [len(preprocessor.words(text)) for text in texts]


def test_a_missing_field_is_empty_and_marks_within_a_field_are_dropped(preprocessor):
    assert FIELDS.compose({"title": f"a{BODY}b", "body": None}) == "ab"


def features_of(preprocessor, texts, kind="words_trigrams_pairs"):
    tokens = sorted({token for text in texts for token in text.split(" ")})
    words: TokenWords = token_words(tokens, np.ones(len(tokens), dtype=np.int64), preprocessor)
    numbers = {token: number for number, token in enumerate(tokens)}

    def numbered(vocabulary):
        bags = Bags.from_lists([[numbers[token] for token in text.split(" ")] for text in texts])
        yield bags.expand(words.numbered(vocabulary))

    return Features.from_words(words, FeatureSettings(kind, min_pair_count=1), numbered)


def test_a_word_of_a_body_is_another_feature_with_its_own_weight_and_no_trigrams(preprocessor):
    texts = [FIELDS.compose(RECORD), "quit vim"]
    features = features_of(preprocessor, texts)
    names = [features.name(feature) for feature in range(features.size)]
    assert {"vim", f"{TAGS}vim", f"{BODY}pressed", "[#vi]", f"{TAGS}vim {TAGS}text"} <= set(names)
    assert not any(name.startswith("[") and (BODY in name or TAGS in name) for name in names)
    assert "[pre]" not in names
    weights = dict(zip(names, features.field_weights(FIELDS).tolist(), strict=True))
    assert weights["vim"] == weights["[#vi]"] == weights["quit vim"] == 1
    assert weights[f"{BODY}pressed"] == 0.5 and weights[f"{TAGS}vim"] == 0.25
    assert weights[f"{TAGS}vim {TAGS}text"] == 0.25
    (bag,) = [features.word_bags([f"{TAGS}vim"]).bag(0)]
    assert [names[feature] for feature in bag] == [f"{TAGS}vim"]


def test_an_encoder_takes_a_question_as_a_dictionary_also_after_saving(preprocessor, tmp_path):
    features = features_of(preprocessor, [FIELDS.compose(RECORD)])
    table = torch.randn(features.size, 8, generator=torch.Generator().manual_seed(1))
    encoder = BagEncoder(preprocessor, features, table, normalize=True)
    save_encoder(encoder, tmp_path / "encoder")
    loaded = load_encoder(tmp_path / "encoder")
    for one in (encoder, loaded):
        whole, composed, title = one.encode([RECORD, FIELDS.compose(RECORD), "Quit vim"])
        assert np.array_equal(whole, composed) and not np.allclose(whole, title)


def test_fields_of_one_name_are_refused():
    with pytest.raises(InputError, match="different names"):
        Fields(["title", "title"])
