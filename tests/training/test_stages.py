"""What a Lightning user expects of the module, the datamodule and HitsAtK outside of fit."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import pytorch_lightning as pl
import torch

from askagain.corpus.cache import Cache
from askagain.corpus.corpus import Corpus
from askagain.errors import InputError
from askagain.evaluation.evaluate import ranking_metrics
from askagain.training.callbacks.best_checkpoint import START, BestCheckpoint
from askagain.training.callbacks.hits_at_k import HitsAtK
from askagain.training.modules.trigram_regressor import TrigramRegressor
from tests.training.conftest import duplicates, known_words
from tests.training.modules.test_modules import SCHEDULE, dssm

RANKED = ("hits@1", "hits@10", "mrr", "ties")


def plain_trainer(folder, *callbacks, **settings):
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    return pl.Trainer(
        default_root_dir=folder, accelerator="cpu", devices=1, callbacks=[*callbacks], **quiet, **settings
    )


def hits_at_k():
    return HitsAtK([1, 10], "expected")


def regressor(data):
    learning = {"optimizer": partial(torch.optim.Adam, lr=0.03), "scheduler": SCHEDULE}
    return TrigramRegressor(**data.model_inputs(), **learning, init_std=0.1)


@pytest.mark.parametrize("kind", ["dssm", "trigram"])
def test_validate_gives_what_the_last_epoch_of_fit_logged(corpus, vectors, tmp_path, kind):
    data = duplicates(corpus) if kind == "dssm" else known_words(corpus, vectors, validation_fraction=0.1)
    module = dssm(data) if kind == "dssm" else regressor(data)
    fit = plain_trainer(tmp_path, hits_at_k(), max_epochs=1, enable_checkpointing=False)
    fit.fit(module, datamodule=data)
    logged = {name: float(value) for name, value in fit.callback_metrics.items()}
    (validated,) = plain_trainer(tmp_path, hits_at_k()).validate(module, datamodule=data, verbose=False)
    names = ["val/loss", *(f"val/{name}" for name in RANKED)] + (["val/cosine"] if kind == "trigram" else [])
    assert {name: validated[name] for name in names} == {name: logged[name] for name in names}


@pytest.mark.parametrize("kind", ["dssm", "trigram"])
def test_validate_ranks_also_where_nothing_is_held_out(corpus, vectors, tmp_path, kind):
    nothing = {"validation_fraction": 0.0}
    data = duplicates(corpus, **nothing) if kind == "dssm" else known_words(corpus, vectors, **nothing)
    module = dssm(data) if kind == "dssm" else regressor(data)
    (validated,) = plain_trainer(tmp_path, hits_at_k()).validate(module, datamodule=data, verbose=False)
    expected = ranking_metrics(module.encoder, corpus.ranking("validation"), [1, 10], "expected")
    assert set(validated) == {f"val/{name}" for name in expected}
    assert validated["val/mrr"] == pytest.approx(expected["mrr"], abs=1e-6)


def test_test_ranks_the_test_set_with_given_weights_and_with_the_best_checkpoint(corpus, tmp_path):
    data = duplicates(corpus)
    module = dssm(data, partial(torch.optim.Adam, lr=0.05))
    best = BestCheckpoint(str(tmp_path), "val/mrr", "min")  # the start is the worst
    fit = plain_trainer(tmp_path, hits_at_k(), best, max_epochs=3)
    fit.fit(module, datamodule=data)
    assert best.best_epoch == START and float(best.best_model_score) == pytest.approx(best.metrics["val/mrr"])

    (last,) = fit.test(module, datamodule=data, verbose=False)
    expected = ranking_metrics(module.encoder, corpus.ranking("test"), [1, 10], "expected")
    assert {f"test/{name}" for name in expected} == set(last)
    assert last["test/mrr"] == pytest.approx(expected["mrr"], abs=1e-6)

    (first,) = fit.test(datamodule=data, ckpt_path="best", verbose=False)
    assert first["test/mrr"] < last["test/mrr"]
    (validated,) = fit.validate(module, datamodule=data, ckpt_path=best.best_model_path, verbose=False)
    assert validated["val/mrr"] == pytest.approx(best.metrics["val/mrr"], abs=1e-6)


def test_a_corpus_without_a_test_set_is_told_in_one_line(corpus, tmp_path):
    files = replace(corpus.files, test=None, corpus=None)
    data = duplicates(Corpus(files, corpus.preprocessor, Cache(tmp_path / "cache"), "error"))
    module = dssm(data)
    with pytest.raises(InputError, match=r"^no test\.tsv in [^\n]*$"):
        plain_trainer(tmp_path, hits_at_k()).test(module, datamodule=data, verbose=False)


@pytest.mark.parametrize("split", ["validation", "test"])
@pytest.mark.parametrize("kind", ["dssm", "trigram"])
def test_predict_gives_the_vectors_of_the_ranking_set_in_order(corpus, vectors, tmp_path, kind, split):
    data = duplicates(corpus) if kind == "dssm" else known_words(corpus, vectors)
    module = dssm(data, feature_weights="idf") if kind == "dssm" else regressor(data)
    data.predict_split, data.predict_batch_size = split, 100
    batches = plain_trainer(tmp_path, hits_at_k()).predict(module, datamodule=data)
    assert batches is not None and len(batches) > 1
    expected = module.encoder.encode(list(corpus.ranking(split).texts))
    np.testing.assert_allclose(torch.cat(batches).numpy(), expected, rtol=1e-5, atol=1e-6)


def test_setup_only_opens_what_prepare_data_wrote(corpus, tmp_path):
    """As on a rank that computes nothing: the second datamodule finds everything in the cache."""
    folder = tmp_path / "cache"

    def data():
        made = Corpus(corpus.files, corpus.preprocessor, Cache(folder), "error")
        return duplicates(made, pairs="star", validation_fraction=0.1)

    def files():
        return {path for path in folder.rglob("*") if path.suffix != ".lock" and not path.name.startswith("digest")}

    data().prepare_data()
    prepared = files()
    other = data()
    for stage in ("fit", "validate", "test", "predict"):
        other.setup(stage)
    next(iter(other.train_dataloader()))
    assert files() == prepared
