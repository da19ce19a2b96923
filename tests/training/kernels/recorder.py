"""A stand-in for CUDA graphs on a processor: records PyTorch's operations and repeats them in the same memory.

Like a graph it sees neither Python nor the numbers in a tensor, so whatever a step does besides operations is missed.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch.utils._python_dispatch import TorchDispatchMode


class Operations(TorchDispatchMode):
    """What is done within this context, as function, arguments and result."""

    def __init__(self) -> None:
        super().__init__()
        self.done = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        self.done.append((function, args, kwargs or {}, result))
        return result


class RecordedOperations:
    """Takes the place of `torch.cuda.CUDAGraph`."""

    def __init__(self) -> None:
        self.operations = []

    def pool(self) -> None:
        return None

    @torch.no_grad()
    def replay(self) -> None:
        for function, args, kwargs, result in self.operations:
            aliases = [returned.alias_info for returned in function._schema.returns]
            is_view = any(alias is not None and not alias.is_write for alias in aliases)
            if is_view or "sparse_coo" in str(function):
                continue  # the memory that it shows is there already
            again = function(*args, **kwargs)
            if not any(aliases):
                for old, new in zip(_tensors(result), _tensors(again), strict=True):
                    old.detach().copy_(new)


@contextmanager
def recording(graph: RecordedOperations, **settings) -> Iterator[None]:
    """Takes the place of `torch.cuda.graph`."""
    with Operations() as operations:
        yield
    graph.operations = operations.done


def _tensors(result: object) -> list[torch.Tensor]:
    results = result if isinstance(result, tuple | list) else [result]
    return [one for one in results if isinstance(one, torch.Tensor)]
