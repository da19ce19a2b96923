"""Several options of a verb as one decorator."""

from collections.abc import Callable
from functools import reduce


def options(*several: Callable) -> Callable:
    """The options as one decorator, in this order."""
    return lambda function: reduce(lambda inner, option: option(inner), reversed(several), function)
