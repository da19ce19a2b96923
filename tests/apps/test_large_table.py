from types import SimpleNamespace

import pytest
import torch
from omegaconf import OmegaConf

from askagain.apps.train import _refuse_large_table
from askagain.errors import InputError

GPU = torch.device("cuda", 1)
WITH_DIM = OmegaConf.create({"model": {"dim": 300}})


def module(sparse: bool) -> SimpleNamespace:
    """A module of 1 MiB of weights."""
    return SimpleNamespace(parameters=lambda: iter([torch.zeros(2**18)]), sparse=sparse)


@pytest.fixture
def small_gpu(monkeypatch):
    """A second GPU with 1.5 MiB free."""
    free = {GPU: 3 * 2**19}
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free[device], 8 * 2**20))


def test_a_table_that_a_gpu_cannot_hold_is_refused_before_training(small_gpu):
    _refuse_large_table(WITH_DIM, GPU, module(sparse=True))
    with pytest.raises(InputError, match=r"model.dim=300: .* lower model.dim, or type trainer.accelerator=cpu"):
        _refuse_large_table(WITH_DIM, GPU, module(sparse=False))
    other = OmegaConf.create({"model": {"init_std": 0.1}})
    OmegaConf.set_struct(other, True)
    with pytest.raises(InputError, match=r"model: the weights .* free; type trainer.accelerator=cpu"):
        _refuse_large_table(other, GPU, module(sparse=False))


def test_a_processor_is_not_asked():
    _refuse_large_table(WITH_DIM, torch.device("cpu"), module(sparse=False))
