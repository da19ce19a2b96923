"""Steps that are recorded once and launched again, beside steps whose kernels are launched one by one.

Without a GPU, what is recorded are PyTorch's own operations, in a stand-in for CUDA graphs.
"""

import copy
import gc
import weakref
from functools import partial
from types import SimpleNamespace

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import LambdaCallback

from askagain.distributed.collectives import World
from askagain.errors import InputError
from askagain.native import library
from askagain.training.kernels import graphs
from askagain.training.losses.nt_xent import NTXentLoss
from askagain.training.losses.nt_xent_logits import Blocking
from askagain.training.modules import dssm
from askagain.training.modules.dssm import DSSM
from askagain.training.optim import embedding_bag
from askagain.training.optim.rowwise_adagrad import RowwiseAdagrad
from tests.training.conftest import dssm_module, duplicates, trainer
from tests.training.kernels.recorder import RecordedOperations, recording

pytestmark = pytest.mark.new_process
ADAGRAD = partial(RowwiseAdagrad, lr=0.1, eps=1e-10, second_moment="row")
ADAM = partial(torch.optim.Adam, lr=0.01)
EPOCHS = 2
NOT_RECORDED = graphs.EAGER_CALLS + EPOCHS  # the first batches, and the last, smaller one of each epoch


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=pytest.mark.cuda)])
def device(request, monkeypatch):
    """A device that steps are recorded on; a processor takes them for those of a GPU."""
    if request.param == "cpu":
        library.use("plain")
        monkeypatch.setattr(torch.cuda, "CUDAGraph", RecordedOperations)
        monkeypatch.setattr(torch.cuda, "graph", recording)
        monkeypatch.setattr(torch.cuda, "Stream", lambda device: None)
        monkeypatch.setattr(DSSM, "_can_be_recorded", lambda module: module.training and torch.is_grad_enabled())
        monkeypatch.setattr(Blocking, "on", classmethod(lambda cls, *_: cls(mask_by_rows=False)))
        monkeypatch.setattr(embedding_bag, "_sums", sums_of_the_first)
    else:
        library.use("graphs")
    yield request.param
    library.use()


def sums_of_the_first(table, ids, offsets, weights=None):
    """What the kernel `bag_sums` computes: ids beyond the last bag are left out."""
    bags = torch.searchsorted(offsets, torch.arange(len(ids), dtype=offsets.dtype), right=True) - 1
    rows = table[ids.long()] if weights is None else table[ids.long()] * weights[:, None]
    return table.new_zeros(len(offsets), table.shape[1]).index_add(0, bags, rows)[:-1]


class Record(pl.Callback):
    """Notes the loss of each step, how many of them were recorded, and what was counted of batches."""

    def __init__(self, monkeypatch):
        self.losses, self.recorded = [], 0
        launch = graphs._StepGraph.__call__

        def counted(graph, *inputs):
            self.recorded += 1
            return launch(graph, *inputs)

        monkeypatch.setattr(graphs._StepGraph, "__call__", counted)

    def on_before_optimizer_step(self, trainer, pl_module, optimizer):
        for parameter in pl_module.parameters():  # else the optimizer would add up rows, which waits for a GPU
            assert not parameter.grad.is_sparse or parameter.grad.is_coalesced()

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self.losses.append(outputs["loss"].clone())
        self.counts = (float(pl_module.loss.batches), float(pl_module.loss.without_negatives))


def run(corpus, device, monkeypatch, loss=None, optimizer=ADAGRAD, training=None, model=None):
    pl.seed_everything(0, verbose=False)
    pairs = duplicates(corpus, batch_size=32, resident=True)
    module = dssm_module(pairs, optimizer, NTXentLoss(**(loss or {})), **(model or {}))
    with monkeypatch.context() as patch:
        record = Record(patch)
        settings = {"max_epochs": EPOCHS, "callbacks": [record], "limit_val_batches": 0} | (training or {})
        trainer(device, **settings).fit(module, pairs)
    record.losses = torch.stack(record.losses).cpu()
    record.state = {name: value.cpu() for name, value in module.state_dict().items()}
    return record


@pytest.mark.parametrize(
    ("loss", "optimizer", "training", "model"),
    [
        ({}, ADAGRAD, {}, {}),
        ({}, ADAGRAD, {"precision": "bf16-mixed"}, {"feature_weights": "idf"}),
        ({"label_smoothing": 0.1}, ADAGRAD, {"gradient_clip_val": 0.1}, {"feature_weights": "learned"}),
        ({"learn_temperature": True}, ADAGRAD, {}, {"pooling": "sum"}),
        ({"temperature": 0.01}, ADAGRAD, {}, {}),
        ({"mask_same_group": False}, ADAM, {}, {}),
    ],
    ids=["usual", "bf16", "smoothed, clipped", "learned temperature", "low temperature", "Adam"],
)
def test_recorded_steps_are_those_that_are_not(corpus, device, monkeypatch, loss, optimizer, training, model):
    records = []
    for eager_calls in (graphs.EAGER_CALLS, 10**9):
        monkeypatch.setattr(graphs, "EAGER_CALLS", eager_calls)
        records.append(run(corpus, device, monkeypatch, loss, optimizer, training, model))
    own, other = records
    assert own.recorded == len(own.losses) - NOT_RECORDED > 20 and other.recorded == 0
    torch.testing.assert_close(own.losses, other.losses, rtol=1e-5, atol=1e-6)
    assert own.losses[-1] < own.losses[0]
    for name, value in own.state.items():
        torch.testing.assert_close(value, other.state[name], rtol=1e-4, atol=1e-5, msg=name)
    if device == "cuda":  # where counts are tensors, since a graph sees no others
        assert own.counts == other.counts and own.counts[0] > 10


def test_a_batch_with_more_tokens_than_there_is_room_for_is_not_launched_as_a_graph(corpus, device, monkeypatch):
    monkeypatch.setattr(graphs, "MARGIN", 10**9)
    tight = run(corpus, device, monkeypatch)
    monkeypatch.setattr(graphs, "EAGER_CALLS", 10**9)
    eager = run(corpus, device, monkeypatch)
    assert 0 < tight.recorded < len(tight.losses) - NOT_RECORDED
    torch.testing.assert_close(tight.losses, eager.losses, rtol=1e-5, atol=1e-6)


def test_gradients_are_those_of_a_loss_that_is_scaled(device):
    table = torch.nn.Parameter(torch.arange(6.0, device=device).view(3, 2))
    steps = graphs.RecordedSteps()
    for number in range(graphs.EAGER_CALLS + 2):
        factor = torch.tensor([number + 1.0])
        loss, _ = steps.loss(lambda room, factor: (factor * table).sum() ** 2, [table], 3, 1, factor)
        (3 * loss).backward()
        expected = torch.full((3, 2), 3 * 2 * 15 * (number + 1.0) ** 2)
        assert torch.equal(table.grad.cpu(), expected), number
        table.grad = None


def test_a_step_that_cannot_be_recorded_is_a_line_with_a_remedy(corpus, device, monkeypatch):
    def fails(*args, **settings):
        raise RuntimeError("no such thing\nsome frames")

    monkeypatch.setattr(torch.cuda, "graph", fails)
    with pytest.raises(InputError) as refusal:
        run(corpus, device, monkeypatch)
    message = (
        "a step cannot be recorded as a CUDA graph (no such thing); set datamodule.resident=false to train without"
    )
    assert str(refusal.value) == message


def test_memory_that_ends_while_a_step_is_recorded_is_said_as_elsewhere(corpus, device, monkeypatch):
    def fails(*args, **settings):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(torch.cuda, "graph", fails)
    with pytest.raises(torch.OutOfMemoryError):
        run(corpus, device, monkeypatch)


def test_what_kernels_read_lives_as_long_as_the_graph(device):
    class Resident:
        """Tensors that a step reads, which no operation keeps: a graph has only their addresses."""

    table, steps = torch.nn.Parameter(torch.ones(3, device=device)), graphs.RecordedSteps()
    for _ in range(graphs.EAGER_CALLS + 1):
        resident = Resident()
        read = weakref.ref(resident)
        steps.loss(lambda room, factor, read=resident: (factor * table).sum(), [table], 3, 1, torch.ones(1))
    del resident
    gc.collect()
    assert read() is not None


def test_a_graph_of_a_training_that_was_broken_off_is_not_launched_in_the_next(corpus, device):
    pairs, steps = duplicates(corpus, batch_size=32, resident=True), []
    module = dssm_module(pairs, ADAGRAD)

    def broken_off(trainer, module, *_):
        steps.append(module._recorded)
        if module._recorded._graph is not None:
            raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        trainer(device, max_epochs=1, callbacks=[LambdaCallback(on_train_batch_end=broken_off)]).fit(module, pairs)
    with pytest.raises(RuntimeError, match="enough"):
        trainer(device, max_epochs=1, callbacks=[LambdaCallback(on_train_batch_end=broken_off)]).fit(module, pairs)
    assert len({id(each) for each in steps}) == 2 and len(steps) == 2 * (graphs.EAGER_CALLS + 1)


@pytest.mark.cuda
@pytest.mark.parametrize(
    ("kernels", "training"),
    [("auto", {"accumulate_grad_batches": 2}), ("plain", {}), ("auto", {"detect_anomaly": True})],
)
def test_steps_that_cannot_be_recorded_are_not(corpus, monkeypatch, kernels, training):
    library.use(kernels)
    try:
        assert run(corpus, "cuda", monkeypatch, training=training).recorded == 0
    finally:
        library.use()


def test_a_processor_records_nothing(corpus, monkeypatch):
    assert run(corpus, "cpu", monkeypatch).recorded == 0


def test_memory_of_graphs_is_freed_after_training(corpus, device):
    pairs = duplicates(corpus, batch_size=32, resident=True)
    module = dssm_module(pairs, ADAGRAD)
    steps = []
    note = LambdaCallback(on_train_batch_end=lambda trainer, module, *_: steps.append(module._recorded))
    trainer(device, max_epochs=1, limit_val_batches=0, callbacks=[note]).fit(module, pairs)
    assert steps[-1]._graph is not None and module._recorded._graph is None
    assert isinstance(copy.deepcopy(steps[-1]), graphs.RecordedSteps)


def test_steps_are_recorded_only_where_graphs_are_asked_for(monkeypatch):
    monkeypatch.setattr(dssm, "gpu_kernels", object)
    weight = SimpleNamespace(is_cuda=True, dtype=torch.float32, _backward_hooks=None)
    module = SimpleNamespace(
        trainable=SimpleNamespace(bag=SimpleNamespace(weight=weight)),
        trainer=SimpleNamespace(accumulate_grad_batches=1),
        parameters=lambda: [weight],
        training=True,
        world=World(),
        loss=NTXentLoss(),
    )
    recorded = []
    for chosen in ("auto", "graphs"):
        library.use(chosen)
        recorded.append(DSSM._can_be_recorded(module))
    library.use()
    assert recorded == [False, True]
