"""Several options of a verb as one decorator, and numbers that are numbers."""

import math
from collections.abc import Callable
from functools import reduce

import click


def options(*several: Callable) -> Callable:
    """The options as one decorator, in this order."""
    return lambda function: reduce(lambda inner, option: option(inner), reversed(several), function)


def number(_context: click.Context, _option: click.Parameter, value: float | None) -> float | None:
    """The value of an option, which a range does not tell from `nan`, nor one without an end from `inf`."""
    if value is not None and not math.isfinite(value):
        raise click.BadParameter(f"{value} is no number.")
    return value
