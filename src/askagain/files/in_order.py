"""A parallel map over threads that keeps the order of the items and bounds the memory."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

THREADS = 2
AHEAD = 2  # items for each thread that are begun before their results are used


def in_order(function: Callable[[Item], Result], items: Iterable[Item], threads: int = THREADS) -> Iterator[Result]:
    """Yields `function(item)` for each item, in order, while later items are worked on.

    For functions that spend their time in libraries that release the interpreter lock (numpy, polars, C). With one
    thread they are called in order. Unlike `Executor.map` it takes items only as results are used, `AHEAD` for each
    thread, so that memory does not grow with their number.
    """
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[Future[Result]] = deque()
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) > AHEAD * threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
