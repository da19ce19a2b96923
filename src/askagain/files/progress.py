"""Progress bars of long work outside of training, on stderr: done, rate and time left."""

from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.text import Text

Item = TypeVar("Item")


class _Rate(ProgressColumn):
    """Items a second since the start."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:,.0f}/s" if task.speed else "")


def progress_bar() -> Progress:
    """A bar that counts items; it disappears at the end, and is not drawn where stderr is no terminal."""
    return _bar(MofNCompleteColumn(), _Rate())


def bytes_progress_bar() -> Progress:
    """A bar like `progress_bar` that counts bytes."""
    return _bar(DownloadColumn(), TransferSpeedColumn())


def _bar(*columns: ProgressColumn) -> Progress:
    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        *columns,
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )


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
        yield from bar.track(items, total=total, description=description)
