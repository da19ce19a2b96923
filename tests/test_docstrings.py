"""The examples in docstrings run."""

import doctest
from importlib import import_module

import pytest

LOSSES = [f"training.losses.{name}" for name in ("nt_xent", "similarity", "matryoshka", "distillation")]


@pytest.mark.parametrize("name", ["ranking.metrics", *LOSSES])
def test_examples_in_docstrings_give_what_they_say(name):
    failed, tried = doctest.testmod(import_module(f"askagain.{name}"))
    assert tried and not failed
