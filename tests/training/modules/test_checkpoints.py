"""What a Lightning user expects of a module: hyperparameters, forward, and a checkpoint that is enough by itself."""

from functools import partial

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from torch import nn

import askagain
from askagain.errors import InputError
from askagain.training.callbacks.last_checkpoint import LastCheckpoint
from askagain.training.losses.distillation import DistillationLoss
from askagain.training.losses.matryoshka import MatryoshkaLoss
from askagain.training.losses.nt_xent import NTXentLoss, ReferenceNTXentLoss
from askagain.training.losses.recorded import loss_from_settings, loss_settings
from askagain.training.modules.distillation import Distillation
from askagain.training.modules.dssm import DSSM
from askagain.training.modules.trigram_regressor import TrigramRegressor
from askagain.training.optim.embedding_bag import TensorBags
from askagain.training.optim.rowwise_adagrad import RowwiseAdagrad
from tests.training.conftest import SCHEDULE, dssm_module, duplicates, known_words
from tests.training.modules.test_distillation import distillation, taught

ROW_WISE = partial(RowwiseAdagrad, lr=0.05, eps=1e-10, second_moment="row")


class CosineLoss(nn.Module):
    """A loss of a user's own: it knows no negatives."""

    def __init__(self, margin: float = 0.0) -> None:
        super().__init__()
        self.margin = margin

    def forward(self, queries, positives, **_):
        return (1 - self.margin - nn.functional.cosine_similarity(queries, positives)).mean()


def fit(module, data, folder):
    """Trains an epoch; returns a checkpoint that stands alone in a folder of its own."""
    trainer = pl.Trainer(
        default_root_dir=folder,
        accelerator="cpu",
        devices=1,
        max_epochs=1,
        callbacks=[LastCheckpoint(str(folder / "run"), None)],
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
    )
    trainer.fit(module, datamodule=data)
    (folder / "moved").mkdir()
    return (folder / "run" / "checkpoints" / "last.ckpt").rename(folder / "moved" / "any name.ckpt")


def texts_of(corpus):
    return [*list(corpus.ranking("validation").texts)[:50], "", "unheard-of"]


@pytest.mark.parametrize("weights", ["none", "idf", "learned"])
def test_a_dssm_is_loaded_from_its_checkpoint_alone(corpus, tmp_path, weights):
    data = duplicates(corpus)
    loss = MatryoshkaLoss(NTXentLoss(0.2, learn_temperature=True, label_smoothing=0.1), dims=[8])
    module = dssm_module(data, ROW_WISE, loss, feature_weights=weights, pooling="mean")
    path = fit(module, data, tmp_path)
    loaded = DSSM.load_from_checkpoint(path)
    assert loaded.state_dict().keys() == module.state_dict().keys()
    assert all(torch.equal(value, module.state_dict()[name]) for name, value in loaded.state_dict().items())
    texts = texts_of(corpus)
    expected = module.encoder.encode(texts)
    for encoder in (loaded.encoder, askagain.load(path)):
        assert np.array_equal(encoder.encode(texts), expected)
        assert encoder.pooling == "mean"
    batch = next(iter(data.train_dataloader()))
    assert torch.equal(loaded.batch_loss(batch), module.batch_loss(batch))
    assert loaded.hparams == module.hparams


def test_a_loaded_dssm_trains_on_with_a_given_optimizer_and_asks_for_one_where_none_is_given(corpus, tmp_path):
    data = duplicates(corpus)
    path = fit(dssm_module(data, ROW_WISE), data, tmp_path)
    with pytest.raises(InputError, match=r"^optimizer=None: give optimizer= and scheduler= to train on$"):
        fit(DSSM.load_from_checkpoint(path), duplicates(corpus), tmp_path / "refused")
    loaded = DSSM.load_from_checkpoint(path, optimizer=ROW_WISE, scheduler=SCHEDULE)
    before = loaded.encoder.table.rows.copy()
    fit(loaded, duplicates(corpus), tmp_path / "second")
    assert not np.array_equal(loaded.encoder.table.rows, before)


def test_a_distilled_encoder_is_loaded_from_its_checkpoint_alone(corpus, tmp_path):
    data = taught(corpus, validation_fraction=0.1)
    module = distillation(data, matryoshka_dims=[4])
    path = fit(module, data, tmp_path)
    loaded = Distillation.load_from_checkpoint(path)
    assert np.array_equal(loaded.encoder.encode(texts_of(corpus)), module.encoder.encode(texts_of(corpus)))
    batch = next(iter(data.train_dataloader()))
    assert torch.equal(loaded.batch_loss(batch), module.batch_loss(batch))


def test_a_checkpoint_holds_hyperparameters_as_plain_values_and_nothing_pickled(corpus, tmp_path):
    data = duplicates(corpus)
    checkpoint = torch.load(fit(dssm_module(data, ROW_WISE), data, tmp_path), weights_only=True)
    hyperparameters = checkpoint["hyper_parameters"]
    assert hyperparameters["dim"] == 32 and hyperparameters["feature_weights"] == "none"
    assert hyperparameters["loss"]["class"] == "NTXentLoss"
    assert hyperparameters["loss"]["settings"]["temperature"] == 0.1


def test_a_loss_of_ones_own_is_given_when_a_checkpoint_is_loaded(corpus, tmp_path):
    data = duplicates(corpus)
    module = dssm_module(data, ROW_WISE, CosineLoss(0.1))
    path = fit(module, data, tmp_path)
    with pytest.raises(InputError, match="trained with CosineLoss, which is not known here; give it as loss="):
        DSSM.load_from_checkpoint(path)
    loaded = DSSM.load_from_checkpoint(path, loss=CosineLoss(0.1))
    assert np.array_equal(loaded.encoder.table.rows, module.encoder.table.rows)
    assert np.array_equal(askagain.load(path).encode(texts_of(corpus)), module.encoder.encode(texts_of(corpus)))


def test_a_class_that_only_has_the_name_of_a_known_loss_is_not_taken_for_it():
    other = type("NTXentLoss", (CosineLoss,), {"settings": {"temperature": 0.5}})
    assert loss_settings(other()) == {"class": "NTXentLoss"}


@pytest.mark.parametrize(
    "loss",
    [
        ReferenceNTXentLoss(0.3, mask_same_group=False, gather=False),
        MatryoshkaLoss(NTXentLoss(0.025, learn_temperature=True), [4, 2], weight=0.3),
        DistillationLoss(NTXentLoss(label_smoothing=0.1), 1.0, 2.0, 0.3, 0.4, [8], 0.5, 1e-6),
    ],
)
def test_a_loss_is_made_again_from_its_settings(loss):
    recorded = loss_settings(loss)
    again = loss_from_settings(recorded)
    assert type(again) is type(loss) and loss_settings(again) == recorded


def test_a_checkpoint_of_another_module_or_none_is_named(corpus, vectors, tmp_path):
    data = known_words(corpus, vectors)
    regressor = TrigramRegressor(**data.model_inputs(), optimizer=ROW_WISE, scheduler=SCHEDULE, init_std=0.1)
    path = fit(regressor, data, tmp_path)
    with pytest.raises(InputError, match="not a checkpoint of DSSM"):
        DSSM.load_from_checkpoint(path)
    with pytest.raises(InputError, match="no such checkpoint"):
        DSSM.load_from_checkpoint(tmp_path / "nowhere.ckpt")
    with pytest.raises(InputError, match="no encoder here"):  # its words are in its run's folder
        askagain.load(path)


def test_forward_gives_the_vectors_of_the_encoder_for_texts_and_for_bags(corpus, vectors):
    words = known_words(corpus, vectors)
    regressor = TrigramRegressor(**words.model_inputs(), optimizer=ROW_WISE, scheduler=SCHEDULE, init_std=0.1)
    texts = texts_of(corpus)
    for module in (dssm_module(duplicates(corpus), ROW_WISE, feature_weights="idf"), regressor):
        expected = module.encoder.encode(texts)
        np.testing.assert_array_equal(module(texts).numpy(), expected)
        np.testing.assert_array_equal(module(TensorBags.of(module.encoder.tokenize(texts))).numpy(), expected)
