import logging
from functools import partial

import pytest
import pytorch_lightning as pl
import torch

from askagain.training.callbacks.throughput import Throughput
from askagain.training.optim.rowwise_adagrad import RowwiseAdagrad
from tests.training.conftest import dssm_module, duplicates


def dssm(data, optimizer):
    pl.seed_everything(0, verbose=False)
    return dssm_module(data, optimizer, dim=16)


def fit(data, module, *callbacks, **settings):
    trainer = pl.Trainer(
        accelerator="cpu",
        devices=1,
        max_epochs=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        callbacks=list(callbacks),
        **settings,
    )
    trainer.fit(module, datamodule=data)
    return trainer


ROWWISE = partial(RowwiseAdagrad, lr=0.1, eps=1e-10, second_moment="row")


class Clock(pl.Callback):
    """Time as the test has it: a second for each batch, and much of it where the clock must not run."""

    now = 0.0

    def time(self):
        return self.now

    def on_train_epoch_start(self, trainer, pl_module):
        self.now += 100

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        self.now += 1

    def on_train_epoch_end(self, trainer, pl_module):
        self.now += 1000


def test_the_rate_counts_the_examples_of_the_epoch_and_not_what_comes_after_its_last_batch(corpus, caplog):
    clock = Clock()
    data = duplicates(corpus, validation_fraction=0.0)
    with caplog.at_level(logging.INFO):
        trainer = fit(data, dssm(data, ROWWISE), clock, Throughput(clock.time))
    pairs = len(data.train_examples)
    assert trainer.callback_metrics["train/examples_per_second"].item() == pytest.approx(pairs / -(-pairs // 128))
    assert "first batch: 128 examples" in caplog.text


@pytest.mark.parametrize("algorithm", ["norm", "value"])
@pytest.mark.parametrize("optimizer", [ROWWISE, partial(torch.optim.Adam, lr=0.01)], ids=["sparse", "dense"])
def test_gradients_are_clipped_sparse_or_dense(corpus, algorithm, optimizer):
    data = duplicates(corpus, validation_fraction=0.0)
    bound = 1e-4

    class Largest(pl.Callback):
        values: list[float]

        def __init__(self):
            self.values = []

        def on_before_optimizer_step(self, trainer, pl_module, optimizer):
            gradient = pl_module.trainable.bag.weight.grad
            assert gradient.is_sparse == (type(optimizer) is RowwiseAdagrad)
            dense = gradient.to_dense()
            self.values.append(dense.norm().item() if algorithm == "norm" else dense.abs().max().item())

    free, clipped = Largest(), Largest()
    fit(data, dssm(data, optimizer), free)
    fit(data, dssm(data, optimizer), Clipping(clipped), gradient_clip_val=bound, gradient_clip_algorithm=algorithm)
    assert min(free.values) > 2 * bound
    assert max(clipped.values) <= bound * 1.001


class Clipping(pl.Callback):
    """Looks at gradients when they have been clipped: when the optimizer is about to use them."""

    def __init__(self, largest):
        self.largest = largest

    def on_fit_start(self, trainer, pl_module):
        clip = pl_module.configure_gradient_clipping

        def watched(optimizer, gradient_clip_val=None, gradient_clip_algorithm=None):
            clip(optimizer, gradient_clip_val, gradient_clip_algorithm)
            self.largest.on_before_optimizer_step(trainer, pl_module, optimizer)

        pl_module.configure_gradient_clipping = watched
