"""Each shortcut replaces something that Lightning or torch does: these tests fail when they do something else."""

import inspect

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.profilers import PassThroughProfiler, Profiler
from torch import nn

from askagain.text.bags import Bags
from askagain.training.data.batches import DuplicateBatch
from askagain.training.lightning_overhead import LeanDataModule, LeanModule, NoProfiler, mark_coalesced
from askagain.training.optim.embedding_bag import TensorBags
from tests.training.conftest import duplicates
from tests.training.modules.test_modules import dssm

AT_LEAST = 20  # times a step, for a shortcut to be worth its lines


class Counting:
    """Counts the calls in each training step but the first."""

    def __init__(self):
        self.now, self.by_step = 0, []

    def callback(self):
        counting = self

        class Steps(pl.Callback):
            def on_train_batch_end(self, *_):
                counting.by_step.append(counting.now)
                counting.now = 0

        return Steps()


def fit(corpus, counting, **settings):
    data = duplicates(corpus, validation_fraction=0.0)
    trainer = pl.Trainer(
        **{"accelerator": "cpu", "devices": 1, "max_epochs": 1, "logger": False, "enable_checkpointing": False},
        **{"enable_progress_bar": False, "enable_model_summary": False, "callbacks": [counting.callback()]},
        **settings,
    )
    trainer.fit(dssm(data), datamodule=data)
    return min(counting.by_step[1:])


def test_lightning_still_sets_the_attribute_of_the_fast_path_many_times_a_step(corpus, monkeypatch):
    counting, values = Counting(), set()
    fast = LeanModule.__setattr__

    def counted(self, name, value):
        counting.now += name == "_current_fx_name"
        values.add(type(value)) if name == "_current_fx_name" else None
        fast(self, name, value)

    monkeypatch.setattr(LeanModule, "__setattr__", counted)
    assert fit(corpus, counting) >= AT_LEAST
    assert values <= {str, type(None)}  # nothing that a module would have to register


def test_the_fast_path_leaves_the_attribute_where_a_module_keeps_it():
    fast, plain = LeanModule(), pl.LightningModule()
    for module in (fast, plain):
        module._current_fx_name = "training_step"
        module.weight = nn.Parameter(torch.zeros(1))
    assert fast.__dict__["_current_fx_name"] == plain.__dict__["_current_fx_name"] == fast._current_fx_name
    assert [name for name, _ in fast.named_parameters()] == ["weight"]


def test_lightning_still_enters_many_profiled_ranges_a_step_and_its_default_measures_nothing(corpus):
    counting = Counting()

    class Counts(NoProfiler):
        def profile(self, action_name):
            counting.now += 1
            return super().profile(action_name)

    assert fit(corpus, counting, profiler=Counts()) >= AT_LEAST
    # What the empty context leaves out: start and stop, which do nothing in the default profiler.
    source = inspect.getsource(Profiler.profile)
    assert [line.strip() for line in source.split('"""')[-1].strip().splitlines()] == [
        *("try:", "self.start(action_name)", "yield action_name", "finally:", "self.stop(action_name)")
    ]
    for method in (PassThroughProfiler.start, PassThroughProfiler.stop):
        assert inspect.getsource(method).strip().endswith("pass")
    assert "profile" not in vars(PassThroughProfiler)


def test_lightnings_own_zero_grad_only_calls_the_optimizers_which_sets_gradients_to_none():
    assert inspect.getsource(pl.LightningModule.optimizer_zero_grad).strip().endswith("optimizer.zero_grad()")
    for zero_grad in (LeanModule.optimizer_zero_grad, pl.LightningModule.optimizer_zero_grad):
        module = LeanModule()
        module.weight = nn.Parameter(torch.zeros(2))
        module.weight.sum().backward()
        zero_grad(module, 0, 0, torch.optim.SGD(module.parameters(), lr=1.0))
        assert module.weight.grad is None


def test_lightning_moves_a_batch_on_the_cpu_nowhere():
    batch = DuplicateBatch(TensorBags.of(Bags.from_lists([[1, 2], [3]])), torch.tensor([4]), 1)
    moved = pl.LightningDataModule().transfer_batch_to_device(batch, torch.device("cpu"), 0)
    assert LeanDataModule().transfer_batch_to_device(batch, torch.device("cpu"), 0) is batch
    assert type(moved) is DuplicateBatch and moved.size == batch.size
    pairs = [(batch.groups, moved.groups), *zip(batch.bags, moved.bags, strict=True)]
    assert all(old.data_ptr() == new.data_ptr() for old, new in pairs)


@pytest.mark.parametrize("batches", [1, 2])
def test_autograd_drops_the_flag_of_a_gradient_that_has_each_row_once_and_only_such_a_gradient_gets_it_back(batches):
    weight = nn.Parameter(torch.zeros(10, 3))
    rows = torch.tensor([7, 2, 5])
    for _ in range(batches):
        nn.functional.embedding(rows, weight, sparse=True).sum().backward()
    assert weight.grad is not None and not weight.grad.is_coalesced()
    before = weight.grad.to_dense()
    mark_coalesced([weight], gradient_rows=len(rows))
    assert weight.grad.is_coalesced() == (batches == 1)
    assert torch.equal(weight.grad.to_dense(), before)
