"""Keeps what Lightning does not need of torchmetrics from being imported with it."""

import importlib.util
import logging
import sys
from importlib.machinery import ModuleSpec
from importlib.metadata import version
from types import ModuleType
from typing import Any

NAME = "torchmetrics"
PARTS = {"Metric": "torchmetrics.metric", "MetricCollection": "torchmetrics.collections"}  # what Lightning imports


def import_torchmetrics_lazily() -> None:
    """Puts a package into `sys.modules` that becomes torchmetrics when more than `PARTS` is first asked of it.

    The real one imports every metric it has, and with them scipy.signal and, where it is installed, transformers: a
    quarter of the time until a first batch.
    """
    spec = None if NAME in sys.modules else importlib.util.find_spec(NAME)
    if spec is not None and spec.loader is not None:
        sys.modules[NAME] = LazyPackage(spec)


class LazyPackage(ModuleType):
    """A package whose own code runs when an attribute is asked for that is not one of `PARTS`."""

    def __init__(self, spec: ModuleSpec) -> None:
        super().__init__(NAME)
        self.__spec__ = spec
        self.__loader__ = spec.loader
        self.__file__ = spec.origin
        self.__path__ = list(spec.submodule_search_locations or ())
        self.__package__ = NAME
        self.__version__ = version(NAME)
        self._logger = logging.getLogger(NAME)

    def __getattr__(self, name: str) -> Any:
        if name in PARTS:
            importlib.import_module("torchmetrics.utilities")  # which torchmetrics.metric cannot be imported before
            value = getattr(importlib.import_module(PARTS[name]), name)
            setattr(self, name, value)
            return value
        self.__class__ = ModuleType  # type: ignore[assignment]
        self.__spec__.loader.exec_module(self)  # type: ignore[union-attr]
        return getattr(self, name)
