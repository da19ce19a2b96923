"""A teacher's vectors in the cache, what is dealt of them, and the losses that learn from them."""

from functools import partial

import numpy as np
import pytest
import pytorch_lightning as pl
import torch

from askagain.corpus.cache import Cache
from askagain.corpus.corpus import Corpus
from askagain.corpus.files import CorpusFiles
from askagain.corpus.text_union import TextUnion
from askagain.errors import InputError
from askagain.text.features import FeatureSettings
from askagain.text.idf import inverse_document_frequencies
from askagain.text.preprocessor import TextPreprocessor
from askagain.training.data.distillation import DistillationDataModule
from askagain.training.data.teacher import SentenceTransformerTeacher, packaged_teacher, teacher_vectors
from askagain.training.losses.distillation import DistillationLoss
from askagain.training.losses.nt_xent import NTXentLoss
from askagain.training.losses.similarity import SimilarityLoss
from askagain.training.modules.distillation import Distillation
from askagain.training.optim.rowwise_adagrad import RowwiseAdagrad
from tests.training.conftest import SCHEDULE

DIM = 16
UNLABELLED = ["how to mount a disk", "what is a monad", "how to mount a monad", "what is a disk"]

GROUPS = [["mount disk", "how to mount a disk"], ["a monad", "what is a monad", "monads"]]


class FakeTeacher:
    """A text is the sum of its words' fixed random vectors; it counts what it embeds and may die."""

    fingerprint = "fake"

    def __init__(self, dies_after=None):
        self.embedded = []
        self.dies_after = dies_after

    def encode(self, texts):
        if self.dies_after is not None and len(self.embedded) >= self.dies_after:
            raise KeyboardInterrupt
        self.embedded += texts
        return np.stack([self._vector(text) for text in texts])

    @staticmethod
    def _vector(text):
        words = text.lower().split()
        seeds = [int.from_bytes(word.encode()[:8], "little") for word in words]
        return sum((np.random.default_rng(seed).standard_normal(DIM) for seed in seeds), np.full(DIM, 1e-3))


def corpus_of(folder, *names):
    (folder / "validation.tsv").write_text("mount a disk\thow to mount a disk\tmonads\tusb\n")
    if "train" in names:
        (folder / "train.tsv").write_text("".join("\t".join(group) + "\n" for group in GROUPS))
    if "corpus" in names:
        (folder / "corpus.txt").write_text("".join(f"{text}\n" for text in UNLABELLED))
    return Corpus(CorpusFiles.locate(str(folder)), TextPreprocessor(), Cache(folder / "cache"), "error")


def taught(corpus, teacher=None, **settings):
    defaults = {
        "teacher_dtype": "float32",
        "features": FeatureSettings("words_trigrams_pairs"),
        "max_pairs_per_group": 30,
        "validation_fraction": 0.0,
        "batch_size": 128,
        "seed": 0,
    }
    return DistillationDataModule(corpus, teacher or FakeTeacher(), **defaults | settings)


def distillation(data, lr=0.05, feature_weights="none", **settings):
    pl.seed_everything(0, verbose=False)
    defaults = {"vector_weight": 1.0, "similarity_weight": 1.0, "similarity_temperature": 0.1, "nt_xent_weight": 0.3}
    learning = {
        "loss": DistillationLoss(NTXentLoss(), **defaults | settings),
        "optimizer": partial(RowwiseAdagrad, lr=lr, eps=1e-10, second_moment="row"),
        "scheduler": SCHEDULE,
    }
    return Distillation.from_settings(**data.model_inputs(), **learning, init_std=0.02, feature_weights=feature_weights)


def fit(module, data, folder, epochs):
    settings = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    trainer = pl.Trainer(
        default_root_dir=folder,
        accelerator="cpu",
        devices=1,
        max_epochs=epochs,
        enable_checkpointing=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        **settings,
    )
    trainer.fit(module, datamodule=data)


def test_each_distinct_text_of_both_files_is_embedded_once_and_read_from_the_cache_then(tmp_path):
    corpus, teacher = corpus_of(tmp_path, "train", "corpus"), FakeTeacher()
    data = taught(corpus, teacher)
    texts = list(dict.fromkeys([*corpus.groups.texts, *UNLABELLED]))
    assert data.texts.texts(0, len(data.texts)) == texts and len(set(texts)) == len(texts) == len(data.texts)
    expected = np.stack([FakeTeacher._vector(text) for text in texts])
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(data.vectors, expected, atol=1e-6)
    assert teacher.embedded == texts
    again = FakeTeacher()
    np.testing.assert_array_equal(taught(corpus, again).vectors, data.vectors)
    assert not again.embedded


class WordyTeacher(FakeTeacher):
    """It also says which words it knows; one of them is two for the preprocessor."""

    def words(self):
        return ["disk", "kernel", "the end"]


def test_made_texts_are_embedded_after_the_own_ones_which_are_not_embedded_again(tmp_path):
    corpus, teacher = corpus_of(tmp_path, "train", "corpus"), FakeTeacher()
    own = taught(corpus, teacher)
    _ = own.vectors
    data = taught(corpus, teacher, made_texts=40)
    count = len(own.texts)
    assert len(data.vectors) == len(data.texts) > count + 5
    assert teacher.embedded == data.texts.texts(0, len(data.texts))
    np.testing.assert_array_equal(data.vectors[:count], own.vectors)
    assert data.counts()["made_texts"] == len(data.texts) - count and data.counts()["texts"] == count
    assert data.features.vocabulary.words == own.features.vocabulary.words  # counted on the own ones
    assert taught(corpus, made_texts=40).vectors.shape == data.vectors.shape


def test_no_text_is_learned_from_that_is_made_of_a_held_out_one(tmp_path):
    corpus = corpus_of(tmp_path, "train", "corpus")
    data = taught(corpus, made_texts=200, validation_fraction=0.3)
    learned, held_out = data.split
    own = data.own_texts.texts(0, len(data.own_texts))
    assert len(held_out) == 2 and set(held_out) < set(range(len(own))) and not set(held_out) & set(learned)
    store, parents = corpus.recombined(200)
    made_of = {}
    for text, pair in zip(store.rows.ids.tolist(), parents.tolist(), strict=True):
        made_of.setdefault(store.texts[text], pair)
    made = [data.texts.texts(text, text + 1)[0] for text in learned.tolist() if text >= len(own)]
    assert 5 < len(made) < len(data.texts) - len(own)
    assert all(not set(made_of[text]) & set(held_out.tolist()) for text in made)


def test_known_words_start_from_the_teachers_vectors_of_them_and_its_own_words_are_known(tmp_path):
    corpus = corpus_of(tmp_path, "train", "corpus")
    teacher = WordyTeacher()
    data = taught(corpus, teacher, teacher_words=True)
    words, counted = data.features.vocabulary.words, taught(corpus).features
    assert words == [*counted.vocabulary.words, "kernel"]
    assert data.features.size == counted.size + 1
    np.testing.assert_array_equal(data.features.pairs.keys, counted.pairs.keys)
    rows = data.word_rows()
    assert sorted(teacher.embedded) == sorted({*words, *teacher.words()})
    again = WordyTeacher()
    other = (tmp_path / "other").mkdir() or corpus_of(tmp_path / "other", "corpus")
    other = Corpus(other.files, other.preprocessor, Cache(tmp_path / "cache"), "error")
    taught(other, again, teacher_words=True).word_rows()
    assert not {"disk", "kernel", "the end"} & set(again.embedded)  # of all corpora with the same cache
    vectors = np.stack([FakeTeacher._vector(word) for word in words])
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors -= vectors.mean(axis=0)
    lengths = np.linalg.norm(rows, axis=1)
    cosines = (rows * vectors).sum(axis=1) / lengths / np.linalg.norm(vectors, axis=1)
    np.testing.assert_allclose(cosines, 1, atol=1e-5)
    share = counted_share(corpus, words)
    np.testing.assert_allclose(lengths, 2 * 0.01 / (0.01 + share), rtol=1e-5)
    assert lengths[words.index("kernel")] == pytest.approx(2.0)
    for feature_weights in ("none", "idf"):
        module = distillation(data, feature_weights=feature_weights)
        np.testing.assert_allclose(module.encoder.table.take(np.arange(len(words))), rows, atol=1e-6)
        assert module.counts()["started_rows"] == len(words)


def counted_share(corpus, words):
    said = [word for text in [*corpus.groups.texts, *UNLABELLED] for word in text.split()]
    return np.array([said.count(word) / len(said) for word in words])


def test_without_words_among_the_features_no_word_is_embedded(tmp_path):
    teacher = WordyTeacher()
    data = taught(corpus_of(tmp_path, "corpus"), teacher, features=FeatureSettings("trigrams"), teacher_words=True)
    assert distillation(data).counts()["started_rows"] == 0 and teacher.embedded == UNLABELLED


def test_a_teacher_that_does_not_say_what_it_knows_still_gives_the_rows_of_known_words(tmp_path):
    data = taught(corpus_of(tmp_path, "corpus"), teacher_words=True)
    assert len(data.word_rows()) == len(data.features.vocabulary) > 0


def test_an_embedding_that_was_killed_goes_on_where_it_stood(tmp_path):
    texts = TextUnion([corpus_of(tmp_path, "corpus").unlabelled])
    with pytest.raises(KeyboardInterrupt):
        teacher_vectors(FakeTeacher(dies_after=2), texts, "float16", texts_per_write=2)
    (unfinished,) = (tmp_path / "cache").glob(".teacher-*.unfinished/vectors.npy")
    with unfinished.open("ab") as file:
        file.write(b"half")  # of a row
    teacher = FakeTeacher()
    found = teacher_vectors(teacher, texts, "float16")
    assert teacher.embedded == UNLABELLED[2:]
    whole = teacher_vectors(FakeTeacher(), TextUnion([corpus_of(tmp_path, "corpus").unlabelled]), "float32")
    assert found.dtype == np.float16 and whole.dtype == np.float32
    np.testing.assert_allclose(found, whole, atol=1e-3)
    assert not list((tmp_path / "cache").glob("*unfinished"))


@pytest.mark.parametrize("damage", ["more done", "another vector", "no digest", "no array"])
def test_what_a_stopped_teacher_has_written_is_not_used_where_it_was_changed(tmp_path, caplog, damage):
    texts = TextUnion([corpus_of(tmp_path, "corpus").unlabelled])
    with pytest.raises(KeyboardInterrupt):
        teacher_vectors(FakeTeacher(dies_after=2), texts, "float32", texts_per_write=1)
    (done,) = (tmp_path / "cache").glob(".teacher-*.unfinished/done.txt")
    vectors = done.with_name("vectors.npy")
    content = bytearray(vectors.read_bytes())
    content[-3 * DIM * 4] ^= 1  # of the second text
    {
        "more done": lambda: done.write_text(done.read_text().replace("2 ", "3 ", 1)),
        "another vector": lambda: vectors.write_bytes(content),
        "no digest": lambda: done.write_text("2"),
        "no array": lambda: vectors.write_bytes(b"junk"),
    }[damage]()
    teacher = FakeTeacher()
    found = teacher_vectors(teacher, texts, "float32")
    assert teacher.embedded == UNLABELLED and "it begins anew" in caplog.text
    expected = np.stack([FakeTeacher._vector(text) for text in UNLABELLED])
    np.testing.assert_allclose(found, expected / np.linalg.norm(expected, axis=1, keepdims=True), atol=1e-6)


def test_another_teacher_has_vectors_of_its_own(tmp_path):
    texts = TextUnion([corpus_of(tmp_path, "corpus").unlabelled])
    teacher_vectors(FakeTeacher(), texts, "float32")
    other = FakeTeacher()
    other.fingerprint = "other"
    teacher_vectors(other, texts, "float32")
    assert other.embedded == UNLABELLED


@pytest.mark.parametrize("wrong", [np.zeros((1, DIM)), np.full((4, DIM), np.nan), np.zeros(4)])
def test_a_teacher_that_gives_something_else_is_named(tmp_path, wrong):
    teacher = FakeTeacher()
    teacher.encode = lambda texts: wrong
    with pytest.raises(InputError, match="the teacher gives"):
        teacher_vectors(teacher, TextUnion([corpus_of(tmp_path, "corpus").unlabelled]), "float32")


def test_a_model_that_is_not_there_is_named_in_one_line():
    with pytest.raises(InputError, match="nobody/nothing: neither a folder of a sentence-transformers") as raised:
        SentenceTransformerTeacher("nobody/nothing").encode(["a"])
    assert "\n" not in str(raised.value)
    with pytest.raises(InputError, match="no such package"):
        packaged_teacher("no_such_package_here", "model")


def test_the_files_of_a_teacher_and_its_prompt_count_in_its_fingerprint(tmp_path):
    (tmp_path / "model.bin").write_bytes(b"1")
    first = SentenceTransformerTeacher(str(tmp_path)).fingerprint
    assert SentenceTransformerTeacher(str(tmp_path), prompt="query: ").fingerprint != first
    assert SentenceTransformerTeacher(str(tmp_path)).fingerprint == first
    (tmp_path / "model.bin").write_bytes(b"2")
    assert SentenceTransformerTeacher(str(tmp_path)).fingerprint != first


def test_a_batch_holds_texts_their_vectors_and_duplicates_of_their_own_group(tmp_path):
    data = taught(corpus_of(tmp_path, "train", "corpus"))
    (batch,) = data.train_dataloader()
    texts = data.texts.texts(0, len(data.texts))
    bags = data.texts.features(data.corpus.preprocessor, data.features)
    group_of = {text: g for g, group in enumerate(GROUPS) for text in group}
    by_bag = {tuple(bags.bag(i)): text for i, text in enumerate(texts)}
    of_batch = [
        by_bag[tuple(batch.bags.ids[start:stop].tolist())]
        for start, stop in zip(batch.bags.offsets[:-1], batch.bags.offsets[1:], strict=True)
    ]
    assert sorted(of_batch[: batch.size]) == sorted(texts)
    for text, vector in zip(of_batch, batch.teacher, strict=False):
        np.testing.assert_array_equal(vector, data.vectors[texts.index(text)])
    assert len(batch.paired) == 3  # a group of n gives n - 1
    for place, duplicate, group in zip(batch.paired.tolist(), of_batch[batch.size :], batch.groups, strict=True):
        assert of_batch[place] != duplicate and group_of[of_batch[place]] == group_of[duplicate] == group


def test_held_out_texts_are_nobodys_duplicate_in_training(corpus):
    data = taught(corpus, validation_fraction=0.5)
    texts, duplicates, _ = data.draw(data.split[0], 0)
    assert (duplicates >= 0).any()
    assert set(duplicates[duplicates >= 0]) <= set(texts) == set(data.split[0])


@pytest.mark.parametrize("weights", [(1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (1.0, 1.0, 0.05)])
def test_an_encoder_comes_close_to_its_teacher(corpus, tmp_path, weights):
    settings = dict(zip(("vector_weight", "similarity_weight", "nt_xent_weight"), weights, strict=True))
    data = taught(corpus, features=FeatureSettings("words"), batch_size=64)
    module = distillation(data, **settings)
    bags = data.texts.features(corpus.preprocessor, data.features).slice(0, 500)

    def away():
        vectors = torch.from_numpy(module.encoder.embed(bags))
        return float(SimilarityLoss(0.1)(vectors, teacher=torch.from_numpy(np.array(data.vectors[:500]))))

    untrained = away()
    fit(module, data, tmp_path, 3)
    assert away() < untrained / 3


def test_unlabelled_text_alone_is_enough(tmp_path):
    data = taught(corpus_of(tmp_path, "corpus"))
    module = distillation(data)
    (batch,) = data.train_dataloader()
    assert not len(batch.paired)
    before = float(module.batch_loss(batch))
    fit(module, data, tmp_path, 20)
    assert float(module.batch_loss(batch)) < before / 2
    assert data.counts()["texts_with_duplicate"] == 0


def test_without_any_text_to_learn_from_the_files_are_named(tmp_path):
    with pytest.raises(InputError, match=r"neither train\.tsv nor corpus\.txt"):
        _ = taught(corpus_of(tmp_path)).texts


def test_features_weigh_what_they_do_in_the_distinct_texts_of_both_files(tmp_path):
    data = taught(corpus_of(tmp_path, "train", "corpus"))
    bags = data.texts.features(data.corpus.preprocessor, data.features)
    assert len(bags) == len(data.texts) > len(data.corpus.groups.texts)
    assert np.array_equal(data.idf(), inverse_document_frequencies([bags], data.features.size))
    assert np.array_equal(data.idf(), data.idf())  # of the cache


@pytest.mark.parametrize("weights", ["idf", "learned"])
def test_a_weighted_student_learns(tmp_path, weights):
    data = taught(corpus_of(tmp_path, "train", "corpus"))
    module = distillation(data, feature_weights=weights)
    batch = next(iter(data.train_dataloader()))
    before = float(module.batch_loss(batch))
    fit(module, data, tmp_path, 20)
    assert float(module.batch_loss(batch)) < before / 2
