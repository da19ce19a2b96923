"""CUDA graphs: what a function once launched on a GPU is launched again in one call.

To start a kernel takes the processor some ten microseconds, which is longer than many of them run.
"""

from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

import torch

EAGER_CALLS = 2  # before a graph is recorded: they compile kernels, and a shape that comes once needs no graph
MOST_GRAPHS = 2  # each holds the memory of its tensors


class Graphed:
    """Calls functions of tensors on a GPU, from the third call with like arguments on as a graph.

    A function must do the same for like arguments: launch the same kernels, wait for nothing, and return tensors.
    """

    def __init__(self) -> None:
        self._calls: Counter[tuple] = Counter()
        self._graphs: dict[tuple, _Graph] = {}

    def __call__(self, function: Callable, *tensors: torch.Tensor, **settings: Any) -> tuple[torch.Tensor, ...]:
        """`function(*tensors, **settings)`; the settings are hashable. What is returned belongs to the caller."""
        shapes = tuple((tensor.shape, tensor.dtype, tensor.device) for tensor in tensors)
        key = (function, shapes, tuple(sorted(settings.items())))
        if key not in self._graphs:
            self._calls[key] += 1
            if self._calls[key] <= EAGER_CALLS or len(self._graphs) == MOST_GRAPHS:
                return function(*tensors, **settings)
            self._graphs[key] = _Graph(partial(function, **settings), tensors)
        return self._graphs[key](*tensors)

    def __reduce__(self) -> tuple:
        return Graphed, ()  # graphs can be neither saved nor copied


class _Graph:
    def __init__(self, function: Callable, tensors: tuple[torch.Tensor, ...]) -> None:
        self._inputs = tuple(tensor.clone() for tensor in tensors)
        function(*self._inputs)  # compiles kernels for how these lie in memory, which must not happen in a recording
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph, capture_error_mode="thread_local"):
            self._outputs = function(*self._inputs)

    def __call__(self, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        for own, given in zip(self._inputs, tensors, strict=True):
            own.copy_(given)
        self._graph.replay()
        return tuple(output.clone() for output in self._outputs)
