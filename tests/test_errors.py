import errno
import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from askagain.apps.command import one_line
from askagain.errors import shortage
from tests.conftest import ROOT


def said(error):
    return shortage(error, "lower it", "free some")


def raised(function):
    with pytest.raises(BaseException) as caught:
        function()
    return caught.value


@pytest.mark.parametrize("allocate", [lambda: np.ones((1 << 30, 1 << 27)), lambda: torch.empty(1 << 60)])
def test_an_allocation_that_fails_is_too_little_memory(allocate):
    assert said(raised(allocate)).startswith("not enough memory (")


def test_a_gpu_without_memory_is_too_little_memory():
    assert said(torch.OutOfMemoryError("CUDA out of memory")) == "not enough memory (CUDA out of memory); lower it"


@pytest.mark.parametrize("kind", [ValueError, RuntimeError, KeyError])
def test_a_defect_whose_message_speaks_of_memory_is_none(kind):
    assert said(kind("there are not enough memory cells, or: Unable to allocate a row")) is None
    assert said(kind("No space left on device")) is None


def test_a_full_disk_is_said_with_the_path_where_it_is_known():
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "runs/a")
    assert said(full) == "runs/a: the disk is full; free some"
    writer = RuntimeError("[enforce fail at inline_container.cc:862] . PytorchStreamWriter failed writing file data/0")
    assert said(writer) == "the disk is full; free some"


def test_too_little_memory_is_one_line_where_hydra_has_wrapped_it():
    wrapped = RuntimeError("Error in call to target")
    wrapped.__cause__ = MemoryError()
    assert one_line(wrapped).startswith("not enough memory (MemoryError); lower data.batch_size")


def test_torch_is_not_imported_to_look_for_its_errors():
    code = "import sys, askagain.errors as e; e.shortage(ValueError(), '', ''); print('torch' in sys.modules)"
    answer = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "False"
