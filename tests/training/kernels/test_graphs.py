"""Steps that are recorded once and launched again, beside steps whose kernels are launched one by one."""

import copy
from functools import partial

import numpy as np
import pytest
import pytorch_lightning as pl
import torch

from askagain.training.kernels import graphs
from askagain.training.losses.nt_xent import NTXentLoss
from askagain.training.optim.rowwise_adagrad import RowwiseAdagrad
from tests.training.conftest import dssm_module, duplicates, trainer

pytestmark = [pytest.mark.cuda, pytest.mark.new_process]
ADAGRAD = partial(RowwiseAdagrad, lr=0.1, eps=1e-10, second_moment="row")
ADAM = partial(torch.optim.Adam, lr=0.01)
EPOCHS = 2
NOT_LAUNCHED = graphs.EAGER_CALLS + EPOCHS  # the first batches, and the last, smaller one of each epoch


class Record(pl.Callback):
    """Notes the loss of each step, how many of them were launched as graphs, and what was counted of batches."""

    def __init__(self, monkeypatch):
        self.losses, self.launched = [], 0
        launch = graphs._StepGraph.__call__

        def counted(graph, *inputs):
            self.launched += 1
            return launch(graph, *inputs)

        monkeypatch.setattr(graphs._StepGraph, "__call__", counted)

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self.losses.append(outputs["loss"])
        self.batches = (float(pl_module.loss.batches), float(pl_module.loss.without_negatives))


def run(corpus, monkeypatch, loss, optimizer, training, model, **data):
    pl.seed_everything(0, verbose=False)
    pairs = duplicates(corpus, batch_size=32, **data)
    module = dssm_module(pairs, optimizer, copy.deepcopy(loss), **model)
    record = Record(monkeypatch)
    trainer("cuda", max_epochs=EPOCHS, callbacks=[record], limit_val_batches=0, **training).fit(module, pairs)
    state = {name: value.cpu() for name, value in module.state_dict().items()}
    return state, torch.stack(record.losses).cpu(), record.launched, record.batches


@pytest.mark.parametrize(
    ("loss", "optimizer", "training", "model", "data"),
    [
        ({}, ADAGRAD, {}, {}, {}),
        ({}, ADAGRAD, {"precision": "bf16-mixed"}, {"feature_weights": "idf"}, {"pairs": "all"}),
        ({"label_smoothing": 0.1}, ADAGRAD, {"gradient_clip_val": 0.1}, {"feature_weights": "learned"}, {}),
        ({"learn_temperature": True}, ADAGRAD, {}, {"pooling": "sum"}, {}),
        ({"temperature": 0.01}, ADAGRAD, {}, {}, {}),
        ({"mask_same_group": False}, ADAM, {}, {}, {}),
        ({}, ADAGRAD, {"precision": "16-mixed"}, {}, {}),
    ],
    ids=["usual", "bf16", "smoothed, clipped", "learned temperature", "low temperature", "Adam", "fp16"],
)
def test_recorded_steps_are_those_that_are_not(corpus, monkeypatch, loss, optimizer, training, model, data):
    results = []
    for eager_calls in (graphs.EAGER_CALLS, 10**9):
        monkeypatch.setattr(graphs, "EAGER_CALLS", eager_calls)
        results.append(run(corpus, monkeypatch, NTXentLoss(**loss), optimizer, training, model, **data))
    (state, losses, launched, batches), (other_state, other_losses, none, other_batches) = results
    assert launched >= len(losses) - NOT_LAUNCHED > 0 and none == 0
    torch.testing.assert_close(losses, other_losses, rtol=1e-5, atol=1e-6)
    assert batches == other_batches and batches[0] > 3
    for name, value in state.items():
        torch.testing.assert_close(value, other_state[name], rtol=1e-4, atol=1e-5, msg=name)


def test_a_batch_with_more_tokens_than_there_is_room_for_is_not_launched_as_a_graph(corpus, monkeypatch):
    monkeypatch.setattr(graphs, "MARGIN", 10**9)
    arguments = (NTXentLoss(), ADAGRAD, {}, {})
    tight = run(corpus, monkeypatch, *arguments)
    monkeypatch.setattr(graphs, "EAGER_CALLS", 10**9)
    eager = run(corpus, monkeypatch, *arguments)
    assert 0 < tight[2] < len(tight[1]) - 4
    torch.testing.assert_close(tight[1], eager[1], rtol=1e-5, atol=1e-6)


def test_gradients_that_are_added_up_are_not_recorded(corpus, monkeypatch):
    assert run(corpus, monkeypatch, NTXentLoss(), ADAGRAD, {"accumulate_grad_batches": 2}, {})[2] == 0


def test_plain_kernels_are_not_recorded(corpus, monkeypatch):
    monkeypatch.setenv("ASKAGAIN_KERNELS", "plain")
    assert run(corpus, monkeypatch, NTXentLoss(), ADAGRAD, {}, {})[2] == 0


def test_memory_of_graphs_is_freed_after_training(corpus):
    pairs = duplicates(corpus, batch_size=32)
    module = dssm_module(pairs, ADAGRAD)
    trainer("cuda", max_epochs=1, limit_val_batches=0).fit(module, pairs)
    assert module._recorded._graph is None
    assert isinstance(copy.deepcopy(module._recorded), graphs.RecordedSteps)
    assert np.isfinite(module.encoder.table.rows).all()
