from types import SimpleNamespace

import pytest
import torch
from omegaconf import OmegaConf

from askagain.apps.train import _refuse_large_table
from askagain.errors import InputError

CONFIG = OmegaConf.create({"trainer": {"accelerator": "gpu"}, "model": {"dim": 300}})


def module(sparse: bool) -> SimpleNamespace:
    """A module of 1 MiB of weights."""
    return SimpleNamespace(parameters=lambda: iter([torch.zeros(2**18)]), sparse=sparse)


def test_a_table_that_a_gpu_cannot_hold_is_refused_before_training(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (3 * 2**20, 8 * 2**20))
    _refuse_large_table(CONFIG, module(sparse=True))
    with pytest.raises(InputError, match=r"model.dim=300: .* lower model.dim, or type trainer.accelerator=cpu"):
        _refuse_large_table(CONFIG, module(sparse=False))


def test_a_processor_is_not_asked():
    _refuse_large_table(OmegaConf.create({"trainer": {"accelerator": "cpu"}}), module(sparse=False))
