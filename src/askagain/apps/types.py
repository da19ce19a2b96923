"""Whether a value from a config fits the type that a parameter is declared with."""

import math
from collections.abc import Iterable
from inspect import isclass
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin


def fits(value: Any, hint: Any) -> bool:
    """Whether a plain value (None, bool, int, float, str, list, dict) may stand for a parameter of type `hint`.

    A whole number fits float; true and false fit bool only; numbers must be finite. What cannot be judged fits.
    """
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return any(fits(value, argument) for argument in arguments)
    if origin is Literal:
        return value in arguments
    if hint is Any:
        return True
    if hint in (int, bool, NoneType, None):
        return type(value) is (NoneType if hint is None else hint)
    if hint is float:
        return type(value) in (int, float) and math.isfinite(value)
    if isclass(origin) and issubclass(origin, Iterable) and not issubclass(origin, dict):
        items = [argument for argument in arguments if argument is not Ellipsis]
        if isinstance(value, str):
            return origin not in (list, tuple, set) and str in items
        return isinstance(value, list) and (not items or all(any(fits(v, item) for item in items) for v in value))
    if isclass(origin or hint):
        return isinstance(value, origin or hint)
    return True


def readable(hint: Any) -> str:
    """The type in words for a message."""
    arguments = get_args(hint)
    if get_origin(hint) in (Union, UnionType):
        return " or ".join(dict.fromkeys(readable(argument) for argument in arguments))
    names = {int: "a whole number", float: "a finite number", bool: "true or false", str: "text", NoneType: "null"}
    if get_origin(hint) is Literal:
        return "one of " + ", ".join(map(str, arguments))
    if isclass(get_origin(hint)):
        return "a list"
    return names.get(hint, getattr(hint, "__name__", str(hint)))
