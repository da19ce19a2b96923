"""What a table starts from, against a plain definition over names of features."""

import time
from functools import partial

import numpy as np
import pytest
import pytorch_lightning as pl
import torch

from askagain.errors import InputError
from askagain.models.bag_encoder import BagEncoder
from askagain.models.folder import save_encoder, save_named
from askagain.text.bags import Bags
from askagain.text.features import Features, FeatureSettings
from askagain.text.ngrams import NgramTokenizer
from askagain.text.preprocessor import TextPreprocessor
from askagain.text.vocabulary import WordVocabulary
from askagain.text.word_pairs import WordPairs
from askagain.training.losses.nt_xent import NTXentLoss
from askagain.training.modules.dssm import DSSM
from askagain.training.modules.trainable_encoder import TrainableEncoder
from askagain.training.optim.rowwise_adagrad import RowwiseAdagrad
from askagain.training.optim.schedules import warmup_decay
from askagain.training.starts import Initializer, from_built, from_encoder, from_word_vectors
from askagain.vectors.word_vectors import WordVectors

EARLIER = ["usb", "hard", "disk", "mount", "grub"]
NOW = ["disk", "kernel", "hard", "usb", "disks"]
STD = 0.05


def no_idf() -> np.ndarray:
    raise AssertionError("idf is counted only where rows are multiplied by it")


def features_of(kind: str, words: list[str], trigrams_of: list[str] | None = None) -> Features:
    """Features with every pair of neighbours in `words`, and trigrams of `trigrams_of` (None: of the words)."""
    trigrams = [] if "trigrams" not in kind else (words if trigrams_of is None else trigrams_of)
    numbers = np.arange(len(words))
    pairs = WordPairs.from_texts([Bags(numbers, np.array([0, len(words)]))]) if "pairs" in kind else None
    known = words if "words" in kind else []
    return Features(kind, WordVocabulary(known), NgramTokenizer.from_words(trigrams), pairs)


def encoder_of(features: Features, dim: int = 6, normalize: bool = True, **settings) -> BagEncoder:
    table = torch.randn(features.size, dim, generator=torch.Generator().manual_seed(1))
    return BagEncoder(TextPreprocessor(), features, table, normalize=normalize, **settings)


def filled(encoder: BagEncoder, features: Features, dim: int = 6) -> tuple[torch.Tensor, torch.Tensor, int]:
    """A random table, the same once it was filled, and the number of rows that this names."""
    table = torch.randn(features.size, dim, generator=torch.Generator().manual_seed(2)) * STD
    before = table.clone()
    return before, table, len(Initializer(encoder, "start RUN").fill(table, features, STD, no_idf))


def names(features: Features) -> list[str]:
    return [features.name(i) for i in range(features.size)]


@pytest.mark.parametrize(
    ("kind", "earlier_kind"),
    [
        ("words", "words"),
        ("words_trigrams", "words_trigrams"),
        ("words_trigrams", "trigrams"),
        ("words_trigrams_pairs", "words_trigrams_pairs"),
        ("words_trigrams_pairs", "words_trigrams"),
        ("words_trigrams", "words_trigrams_pairs"),
    ],
)
def test_features_that_both_have_get_the_rows_of_the_start_and_no_others_change(kind, earlier_kind):
    features, encoder = features_of(kind, NOW), encoder_of(features_of(earlier_kind, EARLIER))
    before, table, count = filled(encoder, features)
    earlier = {name: row for row, name in enumerate(names(encoder.features))}
    shared = [name for name in names(features) if name in earlier]
    assert count == len(shared) > 0
    for row, name in enumerate(names(features)):
        expected = torch.from_numpy(encoder.table.rows[earlier[name]]) if name in earlier else before[row]
        assert torch.equal(table[row], expected), name


def test_a_word_pair_is_found_though_its_words_have_other_numbers():
    features = features_of("words_pairs", ["kernel", "usb", "hard", "disk"])
    encoder = encoder_of(features_of("words_pairs", EARLIER))
    before, table, count = filled(encoder, features)
    assert count == 3 + 2  # usb, hard, disk; usb hard, hard disk
    for pair in ("usb hard", "hard disk"):
        row, earlier = (names(each).index(pair) for each in (features, encoder.features))
        assert torch.equal(table[row], torch.from_numpy(encoder.table.rows[earlier]))
    row = names(features).index("kernel usb")
    assert torch.equal(table[row], before[row])


@pytest.mark.parametrize(
    ("kind", "earlier_kind"),
    [("words", "words_else_trigrams"), ("words", "words_trigrams"), ("words_trigrams", "words_else_trigrams")],
)
def test_words_get_the_vector_that_another_kind_of_start_gives_them_by_themselves(kind, earlier_kind):
    features = features_of(kind, NOW)
    encoder = encoder_of(features_of(earlier_kind, EARLIER, trigrams_of=["disk", "usb"]), normalize=False)
    before, table, count = filled(encoder, features)
    alone = torch.from_numpy(encoder.encode(NOW))
    known = alone.abs().sum(dim=1) > 0
    assert known.tolist() == [True, False, True, True, True]  # `disks` is unknown, but for some of its letters
    assert count == 4 and torch.equal(table[1], before[1]) and torch.equal(table[len(NOW) :], before[len(NOW) :])
    started, alone = table[: len(NOW)][known], alone[known]
    torch.testing.assert_close(torch.cosine_similarity(started, alone), torch.ones(4))
    scales = started.norm(dim=1) / alone.norm(dim=1)
    torch.testing.assert_close(scales, scales[:1].expand(4))


def test_word_vectors_come_to_the_mean_length_of_random_rows_and_fill_the_first_columns():
    rng = np.random.default_rng(0)
    words = [f"word{i}" for i in range(400)]
    vectors = WordVectors(words, rng.standard_normal((400, 8)).astype(np.float32) * 5, "test")
    features = features_of("words_trigrams", [*words[100:], "other"], trigrams_of=["disk"])
    table = torch.randn(features.size, 32, generator=torch.Generator().manual_seed(3)) * STD
    before = table.clone()
    assert from_word_vectors(vectors).fill(table, features, STD, no_idf).shape[0] == 300
    assert float(table[:300, :8].norm(dim=1).mean()) == pytest.approx(float(before.norm(dim=1).mean()), rel=0.02)
    scale = table[0, :8] / torch.from_numpy(vectors.table[100])
    torch.testing.assert_close(table[:300, :8], torch.from_numpy(vectors.table[100:]) * scale[0])
    assert torch.equal(table[:, 8:], before[:, 8:]) and torch.equal(table[300:], before[300:])


def test_what_cannot_be_started_from_is_refused():
    features = features_of("words", NOW)
    with pytest.raises(InputError, match="start RUN: its vectors have 6 columns, more than dim=4; set"):
        filled(encoder_of(features_of("words", EARLIER)), features, dim=4)
    with pytest.raises(InputError, match="start RUN: knows none of the features to train"):
        filled(encoder_of(features_of("words", ["zebra"])), features)
    vectors = WordVectors(EARLIER, np.ones((5, 3), dtype=np.float32), "test")
    with pytest.raises(InputError, match=r"^test: .* set init_std above 0"):
        from_word_vectors(vectors).fill(torch.zeros(5, 3), features, 0.0, no_idf)


def test_rows_are_multiplied_by_the_idf_of_the_texts_where_that_is_wanted():
    encoder, features = encoder_of(features_of("words", EARLIER)), features_of("words", NOW)
    idf = np.array([1, 2, 4, 8, 2], dtype=np.float32)  # disk, kernel, hard, usb, disks
    tables = torch.zeros(2, features.size, 6)
    Initializer(encoder, "x").fill(tables[0], features, STD, no_idf)
    Initializer(encoder, "x", by_idf=True).fill(tables[1], features, STD, lambda: idf)
    torch.testing.assert_close(tables[1], tables[0] * torch.tensor([1, 2, 4, 8, 2]).unsqueeze(1) / 8)
    assert tables[0, 3].any()


def test_features_of_the_start_stay_known_where_that_is_wanted():
    earlier, now = features_of("words_trigrams_pairs", EARLIER), features_of("words_trigrams", NOW)
    encoder, settings = encoder_of(earlier), FeatureSettings("words_trigrams")
    assert Initializer(encoder, "x").extended(now, settings) is now
    keeping = Initializer(encoder, "x", keeps_features=True)
    both = keeping.extended(now, settings)
    assert both.vocabulary.words == [*NOW, "mount", "grub"] and not len(both.pairs)
    further = [one for one in earlier.tokenizer.ngrams if one not in now.tokenizer.ngrams]
    assert both.tokenizer.ngrams == [*now.tokenizer.ngrams, *further] and "#gr" in further
    table = torch.zeros(both.size, 6)
    assert (
        len(keeping.fill(table, both, STD, no_idf)) > len(EARLIER) and table[both.vocabulary.words.index("grub")].any()
    )
    most = keeping.extended(now, FeatureSettings("words_trigrams", max_words=9, max_trigrams=9))
    assert most.vocabulary.words == NOW and most.tokenizer.ngrams == now.tokenizer.ngrams
    hashed = Features("words_trigrams", WordVocabulary(NOW), NgramTokenizer(buckets=50))
    assert keeping.extended(hashed, FeatureSettings("words_trigrams", ngram_buckets=50)) is hashed


def test_a_built_encoder_is_started_from_where_it_fits(tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("ASKAGAIN_HOME", str(tmp_path))
    caplog.set_level("INFO")
    assert from_built("mine") is None  # nothing was built
    encoder, features = encoder_of(features_of("words", EARLIER)), features_of("words", NOW)
    save_named(encoder, "mine")
    assert from_built("mine", dim=8) is None
    assert caplog.messages[-1].endswith("mine has vectors of 6 numbers, not 8)")
    table = torch.zeros(features.size, 6)
    start = from_built("mine", dim=6)
    assert start.keeps_features and start.by_idf
    assert start.fill(table, features, STD, lambda: np.ones(5, np.float32)).tolist() == [0, 2, 3]  # disk, hard, usb
    row = names(encoder.features).index("disk")
    torch.testing.assert_close(table[0], torch.from_numpy(encoder.table.rows[row]))
    assert f"start=auto: the encoder in {tmp_path / 'encoders' / 'mine'}; start=random: random rows" in caplog.text
    for dim, words, why in ((8, NOW, "6 columns, not dim=8"), (6, ["vim"], "knows none of the features")):
        other = features_of("words", words)
        table = torch.zeros(other.size, dim)
        assert not len(from_built("mine").fill(table, other, STD, no_idf)) and not table.any()
        assert "start=auto: random rows (" in caplog.messages[-1] and why in caplog.messages[-1]


@pytest.mark.parametrize("weights", ["none", "idf", "learned"])
def test_a_dssm_starts_from_a_saved_encoder_and_is_otherwise_the_random_one(tmp_path, weights):
    encoder = encoder_of(features_of("words_trigrams", EARLIER))
    save_encoder(encoder, tmp_path / "encoder")
    features = features_of("words_trigrams", NOW)

    def made(start=None):
        pl.seed_everything(0, verbose=False)
        settings = {"dim": 6, "init_std": STD, "feature_weights": weights}
        learning = {
            "loss": NTXentLoss(),
            "optimizer": partial(RowwiseAdagrad, lr=0.1, eps=1e-10, second_moment="row"),
            "scheduler": partial(warmup_decay, warmup_share=0.1, decay="linear"),
            "idf": lambda: np.linspace(0.5, 1.5, features.size, dtype=np.float32),
        }
        module = DSSM.from_settings(
            preprocessor=TextPreprocessor(), features=features, **learning, **settings, start=start
        )
        return torch.from_numpy(module.encoder.table.rows), module.counts()["started_rows"]

    random, none = made()
    started, count = made(from_encoder(str(tmp_path)))
    assert none == 0 and 0 < count == int((started != random).any(dim=1).sum()) < features.size
    row = names(features).index("disk")
    torch.testing.assert_close(
        started[row], torch.from_numpy(encoder.table.rows[names(encoder.features).index("disk")])
    )


@pytest.mark.parametrize("weights", ["none", "idf", "learned"])
def test_rows_are_as_long_as_their_features_are_rare(weights):
    features = features_of("words", NOW)
    idf = np.linspace(0.5, 1.5, features.size, dtype=np.float32)

    def table(lengths: str) -> np.ndarray:
        pl.seed_everything(0, verbose=False)
        trainable = TrainableEncoder(
            TextPreprocessor(), features, lambda: idf, 6, STD, feature_weights=weights, init_lengths=lengths
        )
        return trainable.encoder().table.rows

    once = table("equal") * (idf[:, np.newaxis] if weights == "none" else 1)
    np.testing.assert_allclose(table("idf"), once, rtol=1e-6)


def test_lengths_are_equal_or_idf():
    with pytest.raises(InputError, match=r"^init_lengths=long: not one of equal, idf$"):
        TrainableEncoder(TextPreprocessor(), features_of("words", NOW), lambda: STD, 6, STD, init_lengths="long")


def test_more_than_a_million_features_take_seconds():
    words = [f"w{i}" for i in range(650_000)]
    features, encoder = features_of("words_pairs", words[::-1]), encoder_of(features_of("words_pairs", words), dim=4)
    table = torch.zeros(features.size, 4)
    began = time.perf_counter()
    assert (
        len(Initializer(encoder, "x").fill(table, features, STD, no_idf)) == 650_000
    )  # neighbours are the other way round
    assert time.perf_counter() - began < 10
