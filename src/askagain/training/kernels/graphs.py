"""CUDA graphs: what a step once launched on a GPU is launched again in one call.

To start a kernel takes the processor some ten microseconds, which is longer than many of them run.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import nn

from askagain.errors import InputError

EAGER_CALLS = 2  # before a graph is recorded: they compile kernels, and a size that comes once needs no graph
MARGIN = 8  # a graph has room for a share of 1 / MARGIN more tokens than the batch that it was recorded with
OWN_ERRORS = "thread_local"  # what other threads do meanwhile, such as pinning memory, is no error


class RecordedSteps:
    """Losses of batches and their gradients, which are launched as graphs from the third batch of a size on.

    Only the first size that comes so often is recorded. A batch with more tokens than the graph has room for is
    computed as the first ones were.
    """

    def __init__(self) -> None:
        self._calls: Counter[int] = Counter()  # by size
        self._rooms: dict[int, int] = {}
        self._graph: _StepGraph | None = None
        self._recorded_size = 0

    def loss(
        self,
        function: Callable[..., torch.Tensor],
        parameters: Sequence[nn.Parameter],
        size: int,
        tokens: int,
        *inputs: torch.Tensor,
    ) -> tuple[torch.Tensor, int]:
        """`function(room, *inputs)`, a scalar with a gradient for `parameters`, and that room.

        The function must do the same for all inputs of these shapes, launch the same kernels and wait for nothing.
        Gradients are those of this batch until the next one's loss is asked for, which takes their memory. Raises
        InputError where a step cannot be recorded; a process that failed to is not fit to go on.

        Args:
            function: Takes the number of tokens that there must be room for, and tensors on the parameters' device.
            parameters: All that get a gradient; they are changed in place only.
            size: Examples of the batch.
            tokens: Tokens of the batch.
            inputs: Tensors, on any device.
        """
        device = parameters[0].device
        room = self._rooms.setdefault(size, tokens + tokens // MARGIN + 1)
        self._calls[size] += 1
        if self._graph is None and self._calls[size] > EAGER_CALLS and tokens <= room:
            self._graph = _StepGraph(partial(function, room), parameters, inputs, device)
            self._recorded_size = size
        if self._graph is not None and size == self._recorded_size and tokens <= room:
            return self._graph(*inputs), room
        room = max(room, tokens)
        return function(room, *(tensor.to(device, non_blocking=True) for tensor in inputs)), room

    def __reduce__(self) -> tuple:
        return RecordedSteps, ()  # graphs can be neither saved nor copied


class _StepGraph:
    """A loss and, in a second graph, its gradients, as `torch.cuda.make_graphed_callables` records them; those may be
    sparse here.
    """

    def __init__(
        self,
        function: Callable[..., torch.Tensor],
        parameters: Sequence[nn.Parameter],
        inputs: Sequence[torch.Tensor],
        device: torch.device,
    ) -> None:
        self._inputs = [tensor.to(device, copy=True) for tensor in inputs]
        self._parameters = parameters
        self._function = function  # and with it whatever its kernels read
        self._forward, self._backward = torch.cuda.CUDAGraph(), torch.cuda.CUDAGraph()
        try:
            self._record(torch.cuda.Stream(device))
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            raise InputError(
                f"a step cannot be recorded as a CUDA graph ({str(error).splitlines()[0]}); "
                "set datamodule.resident=false to train without"
            ) from error

    def _record(self, stream: torch.cuda.Stream) -> None:
        recording = partial(torch.cuda.graph, stream=stream, capture_error_mode=OWN_ERRORS)
        with torch.autograd.set_multithreading_enabled(False):  # recorded is what this thread does
            with recording(self._forward):
                loss = self._function(*self._inputs)
            self._loss, self._loss_gradient = loss.detach(), torch.ones_like(loss)
            with (
                torch.autocast(loss.device.type, enabled=False),  # which a backward pass is not in
                recording(self._backward, pool=self._forward.pool()),
            ):
                self._gradients = torch.autograd.grad(loss, self._parameters, self._loss_gradient)

    def __call__(self, *inputs: torch.Tensor) -> torch.Tensor:
        for own, given in zip(self._inputs, inputs, strict=True):
            own.copy_(given, non_blocking=True)
        return _Launch.apply(self, *self._parameters)

    def loss(self) -> torch.Tensor:
        self._forward.replay()
        return self._loss.clone()

    def gradients(self, loss_gradient: torch.Tensor) -> list[torch.Tensor]:
        self._loss_gradient.copy_(loss_gradient)
        self._backward.replay()
        return [_same_memory(gradient) for gradient in self._gradients]


class _Launch(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, graph: _StepGraph, *parameters: torch.Tensor) -> torch.Tensor:
        ctx.graph = graph
        return graph.loss()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, loss_gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        return None, *ctx.graph.gradients(loss_gradient)


def _same_memory(gradient: torch.Tensor) -> torch.Tensor:
    """The gradient as a tensor that autograd may keep instead of copying it."""
    if not gradient.is_sparse:
        return gradient.view_as(gradient)
    numbers = (gradient._indices(), gradient._values(), gradient.shape)
    return torch.sparse_coo_tensor(*numbers, is_coalesced=True, check_invariants=False)
