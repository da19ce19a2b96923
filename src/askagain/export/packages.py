"""Imports of the packages that a format needs, which the light core does not install."""

from importlib import import_module
from typing import Any

from askagain.errors import missing_package


def needed(module: str, extra: str = "export") -> Any:
    """The module; raises InputError, with what to install, where it cannot be imported."""
    try:
        return import_module(module)
    except ImportError as error:
        raise missing_package(module, extra) from error
