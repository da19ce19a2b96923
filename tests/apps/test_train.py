from types import SimpleNamespace

import pytest
from omegaconf import OmegaConf

from askagain.apps.train import _refuse_large_batches
from askagain.errors import InputError


def test_a_batch_is_measured_by_the_memory_that_it_would_take_on_a_cpu_and_not_by_that_beside_a_gpu():
    data, module = SimpleNamespace(train_examples=range(10**12)), SimpleNamespace(dim=300)
    for accelerator in ("cpu", "mps"):
        cfg = OmegaConf.create({"data": {"batch_size": 10**12}, "trainer": {"accelerator": accelerator}})
        if accelerator == "cpu":
            with pytest.raises(InputError, match=r"GiB are free; lower data.batch_size$"):
                _refuse_large_batches(cfg, data, module)
        else:
            _refuse_large_batches(cfg, data, module)
