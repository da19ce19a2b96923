from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

import pytest

from askagain.apps.types import fits, readable

FIT = [
    (3, int),
    (3, float),
    (0.5, float),
    (True, bool),
    ("a", str),
    (None, int | None),
    (None, None),
    ("dir", str | Path),
    ([1, 2], Sequence[int]),
    ([], list[str]),
    ([0.9, 0.999], tuple[float, float]),
    ("?!", str | Iterable[str]),
    ("max", Literal["max", "min"]),
    ({"a": 1}, dict[str, int]),
    (NotImplemented, Any),
]
MISFIT = [
    (True, int),
    (1.5, int),
    ("3", int),
    (None, int),
    (1, bool),
    ("yes", bool),
    (float("nan"), float),
    (float("inf"), float),
    ("0.1", float),
    (5, str),
    ({"a": 1}, str),
    (5, str | Path),
    ("abc", list[str]),
    (["a"], Sequence[int]),
    ([1], list[str] | tuple[str, ...]),
    (0.9, tuple[float, float]),
    ("most", Literal["max", "min"]),
    ([1], int | None),
]


@pytest.mark.parametrize(("value", "hint"), FIT, ids=str)
def test_values_of_the_declared_type_fit(value, hint):
    assert fits(value, hint)


@pytest.mark.parametrize(("value", "hint"), MISFIT, ids=str)
def test_values_of_another_type_do_not_fit(value, hint):
    assert not fits(value, hint)


def test_types_are_named_in_words():
    assert readable(int | None) == "a whole number or null"
    assert readable(list[str] | tuple[str, ...]) == "a list"
    assert readable(Literal["max", "min"]) == "one of max, min"
