"""Imports Lightning without what a training does not need of the packages that Lightning imports.

Of torchmetrics it needs two classes, and importing it imports every metric, with them scipy.signal and, where it is
installed, transformers. Of torch's compiler, `torch._dynamo`, it needs a class to compare with, and tells it of two
methods that are not to be compiled. Both together took 2 of the 4.7 seconds to a first batch.
"""

import importlib.util
import logging
import sys
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from importlib.metadata import version
from types import ModuleType
from typing import Any

TORCHMETRICS = "torchmetrics"
COMPILER = "torch._dynamo"
LIGHTNING = ("pytorch_lightning", "lightning_fabric")


def import_lightning() -> None:
    """Imports Lightning; does nothing where it was imported before.

    Later torchmetrics and torch's compiler are what they always are, imported when they are first used.
    """
    if "pytorch_lightning" in sys.modules:
        return
    spec = None if TORCHMETRICS in sys.modules else importlib.util.find_spec(TORCHMETRICS)
    if spec is not None:
        sys.modules[TORCHMETRICS] = LazyMetrics(spec)
    importlib.import_module("torch")  # with its compiler, as far as torch itself wants it
    compiler = ModuleType(COMPILER)
    compiler.__dict__.update(OF_COMPILER)
    stands_in = sys.modules.setdefault(COMPILER, compiler) is compiler
    try:
        importlib.import_module("pytorch_lightning")
    except (AttributeError, ImportError):
        if not stands_in:
            raise
        for name in [name for name in sys.modules if name.partition(".")[0] in LIGHTNING]:
            del sys.modules[name]  # half of it may be there
    finally:
        if stands_in:
            del sys.modules[COMPILER]
    importlib.import_module("pytorch_lightning")  # with the compiler, where this Lightning asks more of it


class LazyMetrics(ModuleType):
    """The package torchmetrics, whose own code runs when more is asked of it than what Lightning needs."""

    def __init__(self, spec: ModuleSpec) -> None:
        super().__init__(TORCHMETRICS)
        self.__dict__.update(vars(importlib.util.module_from_spec(spec)))
        self.__version__ = version(TORCHMETRICS)
        self._logger = logging.getLogger(TORCHMETRICS)

    def __getattr__(self, name: str) -> Any:
        if name == "Metric":
            importlib.import_module("torchmetrics.utilities")  # which torchmetrics.metric cannot be imported before
            return importlib.import_module("torchmetrics.metric").Metric
        if name == "MetricCollection":
            return importlib.import_module("torchmetrics.collections").MetricCollection
        self.__class__ = ModuleType  # type: ignore[assignment]
        spec: Any = self.__spec__
        spec.loader.exec_module(self)
        return getattr(self, name)


class _LikeCompiled(type):
    def __instancecheck__(cls, value: Any) -> bool:
        compiler = sys.modules.get(COMPILER)  # nothing is compiled before it is there
        return compiler is not None and isinstance(value, compiler.OptimizedModule)


class Compiled(metaclass=_LikeCompiled):
    """What Lightning compares with in place of `torch._dynamo.OptimizedModule`: its instances are those of that."""


def _as_it_is(function: Callable, *args: Any, **settings: Any) -> Callable:
    return function


OF_COMPILER = {"OptimizedModule": Compiled, "disable": _as_it_is}  # what is asked of it while Lightning is imported
