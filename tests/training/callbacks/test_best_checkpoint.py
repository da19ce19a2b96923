"""What is kept where no epoch is better than the start."""

from functools import partial

import numpy as np
import pytest
import torch

import askagain
from askagain.errors import InputError
from askagain.training.callbacks.best_checkpoint import START, BestCheckpoint
from askagain.training.callbacks.hits_at_k import HitsAtK
from tests.training.conftest import duplicates
from tests.training.modules.test_modules import Explode, dssm, kept, trainer

STILL = partial(torch.optim.SGD, lr=0.0)  # so that every epoch ties with the start


def fit(corpus, folder, epochs=2, monitor="val/mrr", mode="min", optimizer=None, resume=None, more=(), **settings):
    """Trains with a metric that gets worse, unless told otherwise; returns the callback and the module."""
    data = duplicates(corpus)
    module = dssm(data) if optimizer is None else dssm(data, optimizer)
    best = BestCheckpoint(str(folder), monitor, mode)
    made = trainer(folder, epochs, HitsAtK([1]), best, kept(folder), *more)
    for name, value in settings.items():
        setattr(made, name, value)
    made.fit(module, datamodule=data, ckpt_path=resume, weights_only=True if resume else None)
    return best, module


def vectors(corpus, path):
    return askagain.load(path).encode(list(corpus.ranking("validation").texts)[:20])


def test_the_encoder_and_the_checkpoint_of_the_start_are_kept_where_no_epoch_is_better(corpus, tmp_path):
    best, trained = fit(corpus, tmp_path)
    start = dssm(duplicates(corpus)).encoder.encode(list(corpus.ranking("validation").texts)[:20])
    assert best.best_epoch == START and best.is_compared
    assert np.array_equal(vectors(corpus, tmp_path), start)
    assert np.array_equal(vectors(corpus, tmp_path / "checkpoints" / "best.ckpt"), start)
    assert not np.array_equal(trained.encoder.encode(list(corpus.ranking("validation").texts)[:20]), start)


def test_an_epoch_that_is_better_is_kept_and_one_that_ties_with_the_start_is_not(corpus, tmp_path):
    assert fit(corpus, tmp_path / "better", mode="max")[0].best_epoch in (0, 1)
    assert fit(corpus, tmp_path / "tied", mode="max", optimizer=STILL)[0].best_epoch == START


def test_the_start_is_no_candidate_by_a_metric_that_it_does_not_have(corpus, tmp_path):
    assert fit(corpus, tmp_path, monitor="val/loss")[0].best_epoch in (0, 1)


def test_training_from_the_checkpoint_of_the_start_is_training_from_the_beginning(corpus, tmp_path):
    _, whole = fit(corpus, tmp_path / "first")
    best, again = fit(corpus, tmp_path / "second", resume=tmp_path / "first" / "checkpoints" / "best.ckpt")
    assert torch.equal(whole.trainable.bag.weight, again.trainable.bag.weight)
    assert best.best_epoch == START


def test_a_resumed_run_takes_over_the_start_and_has_none_of_its_own(corpus, tmp_path):
    fit(corpus, tmp_path / "first", epochs=1)
    last = tmp_path / "first" / "checkpoints" / "last.ckpt"
    best, _ = fit(corpus, tmp_path / "second", resume=last)
    assert best.best_epoch == START and best.is_compared
    assert np.array_equal(vectors(corpus, tmp_path / "second"), vectors(corpus, tmp_path / "first"))
    (tmp_path / "first" / "encoder").rename(tmp_path / "elsewhere")
    assert fit(corpus, tmp_path / "third", resume=last)[0].best_epoch == 1  # not what it resumed from


def test_without_a_validated_epoch_nothing_was_compared(corpus, tmp_path):
    best, _ = fit(corpus, tmp_path, check_val_every_n_epoch=5)
    assert best.best_epoch == START and not best.is_compared


def test_training_that_diverges_at_once_is_a_mistake_and_later_keeps_the_start(corpus, tmp_path):
    with pytest.raises(InputError, match=r"diverged in epoch 0: .*lower optimizer\.lr"):
        fit(corpus, tmp_path / "at once", optimizer=partial(torch.optim.Adam, lr=float("inf")))
    best, _ = fit(corpus, tmp_path / "later", epochs=4, more=[Explode()])
    assert best.best_epoch == START and np.isfinite(vectors(corpus, tmp_path / "later")).all()
