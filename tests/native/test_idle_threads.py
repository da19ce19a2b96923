"""Threads of NumPy's OpenBLAS, which wait for the next product."""

import os
import subprocess
import sys

import pytest

from askagain.native.idle_threads import BLAS_TIMEOUT

PRODUCT = """
import time
import numpy as np

matrix = np.ones((1000, 1000), dtype=np.float32)
matrix @ matrix
before = time.process_time()
time.sleep(0.3)
print(time.process_time() - before)
"""


def last_line(program: str, **environment: str) -> str:
    surroundings = {name: value for name, value in os.environ.items() if name != BLAS_TIMEOUT} | environment
    done = subprocess.run([sys.executable, "-c", program], env=surroundings, capture_output=True, text=True)
    assert done.stdout, done.stderr
    return done.stdout.splitlines()[-1]


def test_they_sleep_soon_after_it():
    quiet = "from askagain.native.idle_threads import let_idle_threads_sleep\nlet_idle_threads_sleep()\n"
    assert float(last_line(quiet + PRODUCT)) < 0.03  # seconds of all threads, of which one would spin for 0.1


@pytest.mark.parametrize(
    "program",
    [
        "from askagain.apps.command import run\nrun(lambda: print(os.environ[NAME], 'numpy' in sys.modules))",
        "from askagain.cli import main\ntry: main.main()\nfinally: print(os.environ[NAME], 'numpy' in sys.modules)",
    ],
    ids=["python train.py", "askagain"],
)
def test_commands_set_it_before_numpy_is_there_unless_the_user_did(program):
    program = f"import os, sys\nsys.argv = ['command']\nNAME = '{BLAS_TIMEOUT}'\n{program}"
    assert last_line(program) == "20 False"
    assert last_line(program, **{BLAS_TIMEOUT: "26"}) == "26 False"
