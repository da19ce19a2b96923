"""Requests that wait are done together, in a thread, and only so many may wait."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class FullError(Exception):
    """So much waits already that nothing more is taken."""


class Batcher(Generic[Item, Result]):
    """Gives all items that wait to a function at once, which runs in a thread of its own.

    Args:
        name: of the thread.
        function: Takes items and returns a result, or an exception, for each.
        most_waiting: Items and what they count as, beyond which `FullError` is raised.
        most_at_once: that the function is given.
        pause: seconds in which further items may come before the function is called.
    """

    def __init__(
        self,
        name: str,
        function: Callable[[Sequence[Item]], Sequence[Result | BaseException | None]],
        most_waiting: int,
        most_at_once: int,
        pause: float = 0.0,
    ) -> None:
        self._function = function
        self._most_waiting, self._most_at_once = most_waiting, most_at_once
        self._pause = pause
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._queue: deque[tuple[Item, int, asyncio.Future]] = deque()
        self._worker: asyncio.Task | None = None
        self.waiting = 0

    async def __call__(self, item: Item, counts_as: int = 1) -> Result:
        """The result of an item; raises its exception, or FullError."""
        if self.waiting and self.waiting + counts_as > self._most_waiting:
            raise FullError
        future: asyncio.Future = asyncio.get_running_loop().create_future()
        self._queue.append((item, counts_as, future))
        self.waiting += counts_as
        if self._worker is None or self._worker.done():
            self._worker = asyncio.create_task(self._work())
        return await future

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        while self._queue:
            if self._pause:
                await asyncio.sleep(self._pause)
            taken = [self._queue.popleft()]
            size = taken[0][1]
            while self._queue and size + self._queue[0][1] <= self._most_at_once:
                taken.append(self._queue.popleft())
                size += taken[-1][1]
            self.waiting -= size
            waited_for = [one for one in taken if not one[2].done()]  # others have given up
            items = [item for item, _, _ in waited_for]
            results: Sequence[Result | BaseException | None]
            try:
                results = await loop.run_in_executor(self._thread, self._function, items) if items else []
            except Exception as error:
                results = [error] * len(items)
            for (_, _, future), result in zip(waited_for, results, strict=True):
                if future.done():
                    continue
                if isinstance(result, BaseException):
                    future.set_exception(result)
                else:
                    future.set_result(result)

    async def drain(self) -> None:
        """Waits until nothing waits."""
        while self._worker is not None and not self._worker.done():
            await self._worker

    def close(self) -> None:
        """Ends the thread."""
        self._thread.shutdown(wait=True)
