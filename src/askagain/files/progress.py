"""Progress bars of long work, on stderr: done, rate and time left. Nothing is drawn where stderr is no terminal.

All bars are lines of one display, so that stages within each other, and log lines, do not overwrite each other.
"""

import io
import logging
import os
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, TypeVar

from rich.console import Console, RenderableType
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Column
from rich.text import Text

Item = TypeVar("Item")

DELAY = 0.3  # seconds until a stage is drawn, so that short ones do not flicker
REFRESHES = 5  # a second
DUMB = ("dumb", "unknown")  # values of TERM: terminals that cannot move the cursor

_lock = threading.RLock()
_display: "_Display | None" = None  # the one that is drawn
_is_hidden = False


def hide_bars() -> None:
    """Draws no bars in this process: one of several ranks draws them for all."""
    global _is_hidden
    _is_hidden = True


def draws_bars() -> bool:
    """Whether bars are drawn: on a terminal that can redraw a line. FORCE_COLOR makes no terminal of a file."""
    return sys.stderr.isatty() and os.environ.get("TERM", "").lower() not in DUMB and not _is_hidden


class _Done(ProgressColumn):
    """What is done, of how much: items or bytes."""

    def __init__(self) -> None:
        super().__init__()
        self._items, self._bytes = MofNCompleteColumn(), DownloadColumn()

    def render(self, task: Task) -> Text:
        return (self._bytes if task.fields["in_bytes"] else self._items).render(task)


class _Rate(ProgressColumn):
    """Items or bytes a second, or the rate that the stage gives itself."""

    def __init__(self) -> None:
        super().__init__()
        self._bytes = TransferSpeedColumn()

    def render(self, task: Task) -> Text:
        if task.fields["in_bytes"]:
            return self._bytes.render(task)
        if task.fields["rate"] is not None:
            return Text(task.fields["rate"])
        return Text(f"{task.speed:,.0f}/s" if task.speed else "")


class _Display(Progress):
    """The lines of all bars, below what is logged and printed meanwhile.

    `stages`: how many bars have been opened and not closed.
    """

    def __init__(self) -> None:
        self.stages = 0
        self._moved: list[tuple[logging.StreamHandler, Any]] = []  # log handlers, and the streams they had
        super().__init__(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=None, table_column=Column(min_width=4, ratio=1)),
            _Done(),
            _Rate(),
            TextColumn("{task.fields[note]}", markup=False),
            TimeRemainingColumn(compact=True),
            console=Console(stderr=True),
            transient=True,
            expand=True,
            refresh_per_second=REFRESHES,
            redirect_stdout=sys.stdout.isatty(),  # else what is piped on would end on the terminal
            disable=not draws_bars(),
        )

    def get_renderables(self) -> Iterator[RenderableType]:
        shown = [task for task in self.tasks if (task.elapsed or 0) >= task.fields["delay"]]
        yield self.make_tasks_table(shown) if shown else Text()

    def start(self) -> None:
        if self.disable:
            return
        for handler in logging.getLogger().handlers:
            if type(handler) is logging.StreamHandler and handler.stream.isatty():
                self._moved.append((handler, handler.setStream(_Above(self.console))))
        super().start()

    def stop(self) -> None:
        super().stop()
        while self._moved:
            handler, stream = self._moved.pop()
            handler.setStream(stream)


class _Above(io.TextIOBase):
    """A stream of log lines that appear above the display."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def write(self, text: str) -> int:
        self._console.print(text, end="", markup=False, highlight=False, soft_wrap=True)
        return len(text)


class Bar:
    """The lines of one stage of work, each a task that counts items or, `in_bytes`, bytes."""

    def __init__(self, display: Progress, in_bytes: bool, delay: float) -> None:
        self._display = display
        self._fields: dict[str, Any] = {"in_bytes": in_bytes, "delay": delay, "rate": None, "note": ""}
        self._tasks: list[TaskID] = []

    def add_task(self, description: str, total: float | None = None, completed: int = 0) -> TaskID:
        """Adds a line; `total` may be unknown."""
        task = self._display.add_task(description, total=total, completed=completed, **self._fields)
        self._tasks.append(task)
        return task

    def update(self, task: TaskID, **changes: Any) -> None:
        """Changes what a line shows: `completed` or `advance`, `description`, `rate`, `note`."""
        self._display.update(task, **changes)

    def advance(self, task: TaskID, advance: float = 1) -> None:
        self._display.advance(task, advance)

    def track(self, items: Iterable[Item], total: int | None, description: str) -> Iterator[Item]:
        """Yields the items, with a line that counts them."""
        yield from self._display.track(items, total=total, task_id=self.add_task(description, total))

    def wrap_file(self, file: BinaryIO, total: int, description: str) -> BinaryIO:
        """The file, with a line that counts the bytes read from it."""
        return self._display.wrap_file(file, total, task_id=self.add_task(description, total))

    def remove(self) -> None:
        """Removes the lines."""
        for task in self._tasks:
            self._display.remove_task(task)


@contextmanager
def progress_bar(delay: float = DELAY) -> Iterator[Bar]:
    """A bar that counts items; it disappears at the end. `delay`: seconds until it is drawn."""
    with _bar(in_bytes=False, delay=delay) as bar:
        yield bar


@contextmanager
def bytes_progress_bar() -> Iterator[Bar]:
    """A bar like `progress_bar` that counts bytes."""
    with _bar(in_bytes=True, delay=DELAY) as bar:
        yield bar


@contextmanager
def _bar(in_bytes: bool, delay: float) -> Iterator[Bar]:
    global _display
    with _lock:
        if _display is None:
            _display = _Display()
            _display.start()
        display = _display
        display.stages += 1
    bar = Bar(display, in_bytes, delay)
    try:
        yield bar
    finally:
        with _lock:
            bar.remove()
            display.stages -= 1
            if not display.stages:  # a generator may end later than the stage around it
                display.stop()
                _display = None


def counted_progress(starts: Iterable[int], total: int, step: int, description: str) -> Iterator[int]:
    """Yields the first places of blocks of `step` items with a progress bar that counts the items."""
    with progress_bar() as bar:
        task = bar.add_task(description, total=total)
        for start in starts:
            yield start
            bar.update(task, completed=min(start + step, total))


def with_progress(items: Iterable[Item], total: int | None, description: str) -> Iterator[Item]:
    """Yields the items with a progress bar; `total` may be unknown."""
    with progress_bar() as bar:
        yield from bar.track(items, total, description)
