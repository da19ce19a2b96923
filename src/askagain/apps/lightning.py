"""Imports Lightning without what a training does not need of the packages that Lightning imports.

Of torchmetrics it needs two classes, and importing it imports every metric, with them scipy.signal and, where they are
installed, transformers and matplotlib. Of torch's compiler, `torch._dynamo`, it needs a class to compare with, and
tells it of two methods that are not to be compiled. Both took 2 of the 4.7 seconds to a first batch, and matplotlib by
itself takes 0.25. Of torch itself a training does not need `torch._meta_registrations`, which tells the shapes of
results to compilers and to tensors without memory, and takes 0.4 of the 1.5 seconds of `import torch`.
"""

import importlib.util
import logging
import sys
from collections.abc import Callable
from contextlib import suppress
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any

TORCHMETRICS, PLOTS = "torchmetrics", "torchmetrics.utilities.plot"
COMPILER = "torch._dynamo"
LIGHTNING = ("pytorch_lightning", "lightning_fabric")
SHAPES = "torch._meta_registrations"
OF_TORCH = ("torch._", "torch.utils._content_store")  # what modules of torch's begin with that may need them
# Packages that make tensors without memory. A user's own code may do so too.
MAKERS = {"accelerate", "deepspeed", "diffusers", "functorch", "peft", "sentence_transformers", "timm", "transformers"}


def import_lightning() -> None:
    """Imports Lightning; does nothing where it was imported before.

    Later torchmetrics and torch's compiler are what they always are, imported when they are first used.
    """
    if "pytorch_lightning" in sys.modules:
        return
    spec = None if TORCHMETRICS in sys.modules else importlib.util.find_spec(TORCHMETRICS)
    if spec is not None:
        sys.modules[TORCHMETRICS] = LazyMetrics(spec)
        plots = Path(str(spec.origin)).with_name("utilities") / "plot.py"
        plots_spec = importlib.util.spec_from_file_location(PLOTS, plots)
        if plots_spec is not None and plots.is_file():
            sys.modules[PLOTS] = LazyPlots(plots_spec)
    _import_torch()  # with its compiler, as far as torch itself wants it
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


def _import_torch() -> None:
    """Imports torch; the shapes of results follow when they may be asked for, see `ShapesWhenNeeded`."""
    torch = None if "torch" in sys.modules else importlib.util.find_spec("torch")
    shapes = None
    if torch is not None:
        file = Path(str(torch.origin)).with_name("_meta_registrations.py")
        spec = importlib.util.spec_from_file_location(SHAPES, file)
        if spec is not None and file.is_file():
            sys.modules[SHAPES] = shapes = LazyModule(spec)
    importlib.import_module("torch")
    if shapes is not None:
        sys.meta_path.insert(0, ShapesWhenNeeded(shapes))


class LazyModule(ModuleType):
    """A module whose own code runs when it is asked for something that is not there."""

    def __init__(self, spec: ModuleSpec) -> None:
        super().__init__(spec.name)
        self.__dict__.update(vars(importlib.util.module_from_spec(spec)))

    def __getattr__(self, name: str) -> Any:
        self.load()
        return getattr(self, name)

    def load(self) -> None:
        """Runs its code."""
        self.__class__ = ModuleType  # type: ignore[assignment]
        spec: Any = self.__spec__
        spec.loader.exec_module(self)


class ShapesWhenNeeded(MetaPathFinder):
    """Loads `shapes` before the first import of something that may need it: of torch's compiler, of `MAKERS`, and of
    modules that are installed neither with Python nor beside torch. It finds only what that has imported meanwhile.
    """

    def __init__(self, shapes: LazyModule) -> None:
        self._shapes = shapes
        self._folders = [Path(file).parents[1] for file in (str(sys.modules["torch"].__file__), __file__)]

    def find_spec(self, fullname: str, path: object, target: object = None) -> ModuleSpec | None:
        if not (fullname.startswith(OF_TORCH) or fullname in MAKERS or self._is_own(fullname)):
            return None
        with suppress(ValueError):  # another thread was first
            sys.meta_path.remove(self)
        if isinstance(self._shapes, LazyModule):
            self._shapes.load()
        module = sys.modules.get(fullname)
        return None if module is None else ModuleSpec(fullname, ImportedAlready(module))

    def _is_own(self, fullname: str) -> bool:
        """Whether a module is the user's own."""
        if "." in fullname or fullname in sys.stdlib_module_names or fullname in sys.modules:
            return False
        spec = PathFinder.find_spec(fullname)
        file = None if spec is None else spec.origin
        return file is not None and not any(Path(file).is_relative_to(folder) for folder in self._folders)


class ImportedAlready(Loader):
    """Loads a module that is there, so that its code does not run twice."""

    def __init__(self, module: ModuleType) -> None:
        self._module, self._spec = module, module.__spec__
        module.__spec__ = None  # else Python would take this one, and run the code

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return self._module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self._spec


class LazyPlots(LazyModule):
    """The module that metrics draw themselves with, and that imports matplotlib to name a type."""

    def __init__(self, spec: ModuleSpec) -> None:
        super().__init__(spec)
        self._AX_TYPE = self._PLOT_OUT_TYPE = object

        def draw(*args: Any, **settings: Any) -> Any:
            if self.plot_single_or_multi_val is draw:
                del self.plot_single_or_multi_val
            return self.plot_single_or_multi_val(*args, **settings)

        self.plot_single_or_multi_val: Any = draw

    def __getattr__(self, name: str) -> Any:
        if name == "__path__":  # Python's import asks whether it is a package
            raise AttributeError(name)
        return super().__getattr__(name)


class LazyMetrics(LazyModule):
    """The package torchmetrics, whose own code runs when more is asked of it than what Lightning needs."""

    def __init__(self, spec: ModuleSpec) -> None:
        super().__init__(spec)
        self.__version__ = version(TORCHMETRICS)
        self._logger = logging.getLogger(TORCHMETRICS)

    def __getattr__(self, name: str) -> Any:
        if name == "Metric":
            utilities = importlib.import_module("torchmetrics.utilities")  # before torchmetrics.metric
            if PLOTS in sys.modules:
                utilities.__dict__.setdefault("plot", sys.modules[PLOTS])
            return importlib.import_module("torchmetrics.metric").Metric
        if name == "MetricCollection":
            return importlib.import_module("torchmetrics.collections").MetricCollection
        return super().__getattr__(name)


class _LikeCompiled(type):
    def __instancecheck__(cls, value: Any) -> bool:
        compiler = sys.modules.get(COMPILER)  # nothing is compiled before it is there
        return compiler is not None and isinstance(value, compiler.OptimizedModule)


class Compiled(metaclass=_LikeCompiled):
    """What Lightning compares with in place of `torch._dynamo.OptimizedModule`: its instances are those of that."""


def _as_it_is(function: Callable, *args: Any, **settings: Any) -> Callable:
    return function


OF_COMPILER = {"OptimizedModule": Compiled, "disable": _as_it_is}  # what is asked of it while Lightning is imported
