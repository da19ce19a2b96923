"""What a resumed run says of settings that differ from those of its checkpoint."""

import math
from functools import partial

import pytest
import pytorch_lightning as pl
import torch
from torch.optim.lr_scheduler import LambdaLR

from askagain.corpus.cache import Cache
from askagain.corpus.corpus import Corpus
from askagain.errors import InputError
from askagain.text.features import FeatureSettings
from askagain.text.preprocessor import TextPreprocessor
from askagain.training.callbacks.best_checkpoint import BestCheckpoint
from askagain.training.callbacks.hits_at_k import HitsAtK
from askagain.training.callbacks.last_checkpoint import LastCheckpoint
from askagain.training.losses.nt_xent import NTXentLoss
from askagain.training.modules.dssm import DSSM
from askagain.training.optim.schedules import warmup_decay
from tests.training.conftest import duplicates
from tests.training.modules.test_modules import ADAM


def shaped(optimizer, total_steps, shape=math.sqrt):
    """A schedule with a function among its settings."""
    return LambdaLR(optimizer, lambda step: shape(1 / (1 + step)))


def halved():
    """A new function at each call."""
    return lambda scale: scale / 2


WORDS = FeatureSettings("words_trigrams")
HASHED = FeatureSettings("trigrams", ngram_buckets=500)
LINEAR = partial(warmup_decay, warmup_share=0.1, decay="linear")
SHAPED = partial(shaped, shape=math.sqrt)


def fit(corpus, folder, scheduler, optimizer=ADAM, epochs=1, resume=None, best=(), features=WORDS):
    """Trains; returns the last checkpoint."""
    data = duplicates(corpus, features=features)
    learning = {"loss": NTXentLoss(), "optimizer": optimizer, "scheduler": scheduler}
    module = DSSM.from_settings(**data.model_inputs(), **learning, dim=8, init_std=0.05)
    trainer = pl.Trainer(
        accelerator="cpu",
        devices=1,
        max_epochs=epochs,
        callbacks=[HitsAtK([1]), *best, LastCheckpoint(str(folder), None)],
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
    trainer.fit(module, datamodule=data, ckpt_path=resume, weights_only=True if resume else None)
    return folder / "checkpoints" / "last.ckpt"


def warnings(caplog):
    return [record.getMessage() for record in caplog.records if record.name.startswith("askagain")]


@pytest.mark.parametrize(
    ("before", "after", "lines"),
    [
        (partial(shaped, shape=halved()), partial(shaped, shape=halved()), []),  # as in another process
        (SHAPED, partial(shaped, shape=math.exp), ["scheduler.shape=exp instead of sqrt"]),
        (LINEAR, SHAPED, ["scheduler=shaped instead of warmup_decay"]),
        (shaped, partial(shaped, shape=math.exp), ["scheduler.shape=exp instead of sqrt"]),
    ],
)
def test_a_scheduler_that_was_changed_is_named_and_no_other(corpus, tmp_path, caplog, before, after, lines):
    last = fit(corpus, tmp_path, before)
    fit(corpus, tmp_path, after, resume=last)
    assert warnings(caplog) == [f"{line} changes the learning rates that follow" for line in lines]


def test_a_setting_of_the_optimizer_that_was_left_at_its_default_before_is_named(corpus, tmp_path, caplog):
    last = fit(corpus, tmp_path, LINEAR)
    fit(corpus, tmp_path, LINEAR, partial(torch.optim.Adam, lr=0.01, eps=0.5), resume=last)
    assert warnings(caplog) == ["optimizer.eps=0.5 has no effect: a resumed run goes on with the checkpoint's, 1e-08"]


def test_a_checkpoint_of_an_earlier_version_which_has_no_schedule_is_gone_on_from(corpus, tmp_path):
    last = fit(corpus, tmp_path, LINEAR)
    checkpoint = torch.load(last, weights_only=True)
    del checkpoint["schedule"]
    torch.save(checkpoint, last)
    again = fit(corpus, tmp_path / "again", LINEAR, epochs=2, resume=last)
    assert torch.load(again, weights_only=True)["epoch"] == 1


def test_a_checkpoint_whose_weights_are_of_no_use_is_answered_by_another_one(corpus, tmp_path):
    last = fit(corpus, tmp_path, LINEAR)
    previous = last.with_name("previous.ckpt")
    for file in (last, previous):
        checkpoint = torch.load(last, weights_only=True)
        checkpoint["state_dict"]["trainable.bag.weight"][:] = math.nan
        torch.save(checkpoint, file)
    with pytest.raises(InputError, match=f"weights are not finite .*: type ckpt_path={previous}$"):
        fit(corpus, tmp_path, LINEAR, resume=last)


def test_another_preprocessor_is_refused_where_features_are_hashed_and_know_no_words(corpus, tmp_path):
    last = fit(corpus, tmp_path, LINEAR, features=HASHED)
    other = Corpus(corpus.files, TextPreprocessor("?!.,()", 1, "english"), Cache(tmp_path / "cache"), "error")
    with pytest.raises(InputError, match=r"trained with another preprocessor\.min_word_length; a resumed run"):
        fit(other, tmp_path, LINEAR, features=HASHED, resume=last)
    checkpoint = torch.load(last, weights_only=True)
    del checkpoint["preprocessor"]  # as an earlier version wrote it
    torch.save(checkpoint, last)
    fit(other, tmp_path, LINEAR, features=HASHED, resume=last)


def test_another_metric_that_chooses_the_best_epoch_is_named(corpus, tmp_path, caplog):
    last = fit(corpus, tmp_path, LINEAR, best=[BestCheckpoint(str(tmp_path), "val/mrr", "max")])
    fit(corpus, tmp_path, LINEAR, resume=last, best=[BestCheckpoint(str(tmp_path), "val/mrr", "max")])
    assert not warnings(caplog)
    fit(corpus, tmp_path, LINEAR, resume=last, best=[BestCheckpoint(str(tmp_path), "val/loss", "min")])
    (line,) = warnings(caplog)
    assert line.startswith("metric.name=val/loss metric.mode=min instead of val/mrr and max: the best epoch so far")
