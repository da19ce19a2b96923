"""The progress bar of long work outside of training: how far, how fast, how long to go. On standard error."""

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
    """A bar with items a second; it is removed when it is done, and not drawn where standard error is no terminal."""
    return _bar(MofNCompleteColumn(), _Rate())


def bytes_progress_bar() -> Progress:
    """The same with bytes a second."""
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


def with_progress(items: Iterable[Item], total: int, description: str) -> Iterator[Item]:
    """Yields the items and draws how far it is."""
    with progress_bar() as bar:
        task = bar.add_task(description, total=total)
        for done, item in enumerate(items):
            if done % 1000 == 0:  # moving the bar takes longer than most items
                bar.update(task, completed=done)
            yield item
