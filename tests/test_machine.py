import pytest
import torch

from askagain.machine import LARGE_BATCH, fastest_precision

PROCESSORS = {
    "matrix units": ({"cpu_name": "Intel Xeon", "amx_bf16": True, "avx512_bf16": True}, "bf16-mixed"),
    "AMD's instructions": ({"cpu_name": "AMD EPYC", "amx_bf16": False, "avx512_bf16": True}, "bf16-mixed"),
    "Intel's instructions": ({"cpu_name": "Intel Xeon", "amx_bf16": False, "avx512_bf16": True}, "32-true"),
    "neither": ({"cpu_name": "AMD Ryzen"}, "32-true"),
    "not known": ({}, "32-true"),
}


@pytest.mark.parametrize(("capabilities", "precision"), PROCESSORS.values(), ids=PROCESSORS)
def test_bfloat16_is_chosen_where_the_processor_multiplies_it_faster(capabilities, precision, monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    assert fastest_precision("cpu", LARGE_BATCH) == precision
    assert fastest_precision("cpu", LARGE_BATCH - 1) == "32-true"
