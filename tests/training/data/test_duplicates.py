from threading import Event

import numpy as np
import pytest
import torch
from pytorch_lightning import LightningDataModule
from sklearn.model_selection import train_test_split

from askagain.corpus.pairs import pairs_of_groups
from askagain.errors import InputError
from askagain.training.data import duplicates as duplicates_module
from askagain.training.data.duplicates import DuplicatesDataModule
from tests.training.conftest import duplicates


def seen(loader):
    return {group for batch in loader for group in batch.groups.tolist()}


def test_it_is_a_lightning_datamodule_that_gives_every_group_trained_on(corpus):
    data = duplicates(corpus, validation_fraction=0.1, batch_size=64)
    assert isinstance(data, LightningDataModule)
    assert seen(data.train_dataloader()) == set(data.split[0].tolist())


def test_groups_never_cross_the_split(corpus):
    data = duplicates(corpus, validation_fraction=0.2, batch_size=64)
    trained, held_out = seen(data.train_dataloader()), seen(data.val_dataloader())
    assert len(held_out) == 60 and len(trained) == 240
    assert not trained & held_out


def test_the_seed_decides_which_groups_are_held_out(corpus):
    splits = [duplicates(corpus, seed=seed).split[1].tolist() for seed in (0, 0, 1)]
    assert splits[0] == splits[1] != splits[2]


def test_the_split_is_that_of_scikit_learn(corpus):
    trained, held_out = train_test_split(np.arange(300), test_size=30, random_state=7)
    split = duplicates(corpus, validation_fraction=0.1, seed=7).split
    assert split[0].tolist() == sorted(trained) and split[1].tolist() == sorted(held_out)


def test_no_group_is_held_out_where_the_share_is_zero(corpus):
    data = duplicates(corpus, validation_fraction=0.0)
    assert len(data.split[0]) == 300 and data.val_dataloader() == []


def test_a_batch_is_what_its_texts_are(corpus):
    data = duplicates(corpus, pairs="first_two", validation_fraction=0.0, batch_size=300)
    batch = next(iter(data.train_dataloader()))
    store = corpus.groups
    for place in range(0, 300, 37):
        text = store.texts[int(store.rows.bag(batch.groups[place].item())[0])]
        expected = data.features.word_bags(corpus.preprocessor.words(text)).ids
        start, end = batch.bags.offsets[place : place + 2].tolist()
        assert batch.bags.ids[start:end].tolist() == sorted(expected.tolist())


@pytest.mark.parametrize("pairs", ["random", "all"])
def test_the_first_pairs_are_drawn_while_features_are_counted_and_are_the_same_pairs(corpus, monkeypatch, pairs):
    drawn, draw = Event(), DuplicatesDataModule.draw
    monkeypatch.setattr(DuplicatesDataModule, "draw", lambda *given: (drawn.set(), draw(*given))[1])
    data = duplicates(corpus, pairs=pairs)
    _ = data.features
    assert drawn.wait(30)
    examples = data.train_examples
    monkeypatch.setattr(duplicates_module, "MOST_BESIDE", 0)  # as with a large corpus
    drawn.clear()
    later = duplicates(corpus, pairs=pairs)
    _ = later.features
    assert later._drawn_beside is None and not drawn.is_set()
    everything = np.arange(len(examples))
    for own, other in zip(examples[everything], later.train_examples[everything], strict=True):
        assert np.array_equal(own, other)


def test_an_error_while_pairs_are_drawn_is_raised_where_they_are_asked_for(corpus, monkeypatch):
    def fails(*given):
        raise InputError("no pairs")

    monkeypatch.setattr(DuplicatesDataModule, "draw", fails)
    data = duplicates(corpus)
    assert data.features.size
    with pytest.raises(InputError, match="no pairs"):
        _ = data.train_examples


def test_counts_say_what_is_there(corpus):
    counts = duplicates(corpus, validation_fraction=0.1).counts()
    texts = sum(len(line.split("\t")) for line in corpus.files.train.read_text().splitlines())
    assert counts["groups"] == 300 and counts["held_out_groups"] == 30
    assert counts["texts"] <= texts
    assert counts["pairs_an_epoch"] <= texts - 300
    assert duplicates(corpus).features.size == counts["known_words"] + counts["known_ngrams"]
    assert 0.5 < counts["validation_known_share"] <= 1
    assert counts["validation_rows"] == 40


def test_a_corpus_without_any_pair_is_named(corpus, tmp_path):
    from askagain.corpus.cache import Cache
    from askagain.corpus.corpus import Corpus
    from askagain.corpus.files import CorpusFiles

    (tmp_path / "train.tsv").write_text("mount\tmount\n")
    empty = Corpus(CorpusFiles.locate(str(tmp_path)), corpus.preprocessor, Cache(tmp_path / "cache"), "error")
    with pytest.raises(InputError, match=r"train\.tsv: no group with two different questions"):
        duplicates(empty).train_dataloader()


def test_random_pairs_differ_between_epochs(corpus):
    loader = duplicates(corpus, validation_fraction=0.0, batch_size=10_000).train_dataloader()
    drawn = []
    for epoch in (0, 1):
        loader.sampler.set_epoch(epoch)
        batch = next(iter(loader))
        drawn.append(np.sort(batch.bags.offsets.diff().numpy()))
    assert len(drawn[0]) == len(drawn[1])
    assert not np.array_equal(*drawn)
    assert isinstance(batch.groups, torch.Tensor)


def test_pairs_that_stay_the_same_are_taken_from_the_cache_and_depend_on_all_settings(corpus):
    def pairs(**settings):
        data = duplicates(corpus, pairs="all", max_pairs_per_group=3, **settings)
        return [array.tolist() for array in data.draw(data.split[0], 0)]

    first = pairs()
    data = duplicates(corpus, pairs="all", max_pairs_per_group=3)
    fresh = pairs_of_groups(corpus.groups.rows, data.split[0], "all", 3, 0)
    assert pairs() == first == [array.tolist() for array in fresh]
    assert pairs(seed=1) != first and pairs(validation_fraction=0.5) != first
    star = duplicates(corpus, pairs="star")
    assert [array.tolist() for array in star.draw(star.split[0], 0)] != first


def test_a_feature_weighs_the_more_the_fewer_texts_of_the_groups_have_it(corpus):
    data = duplicates(corpus)
    bags = corpus.groups.features(corpus.preprocessor, data.features)
    texts_with = np.zeros(data.features.size, dtype=int)
    for i in range(len(bags)):
        texts_with[np.unique(bags.bag(i))] += 1
    weights = data.idf()
    assert weights.shape == (data.features.size,)
    order = np.argsort(texts_with, kind="stable")
    assert (np.diff(weights[order]) <= 0).all() and weights[order[0]] > 2 * weights[order[-1]]
    corpus.groups._texts_per_block = 10
    (entry,) = corpus.groups.cache.folder.glob("idf-*/idf.npy")
    entry.write_bytes(b"junk")  # so that it is counted once more, in small blocks
    assert np.array_equal(data.idf(), weights)
