"""Atomic writes of files and folders: written under a temporary name, then renamed."""

import shutil
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yields a temporary path beside `path`; the file or folder written there replaces `path` if the block succeeds.

    An existing folder cannot be replaced in one step: it is renamed aside, and removed at the end.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary, aside = (path.with_name(f".{path.name}.{uuid.uuid4().hex}.{end}") for end in ("part", "old"))
    try:
        yield temporary
        if temporary.is_dir() and path.is_dir():
            path.rename(aside)
        temporary.replace(path)
    finally:
        if aside.is_dir() and not path.exists():  # the replacement failed
            aside.rename(path)
        for leftover in (temporary, aside):
            if leftover.is_dir():
                shutil.rmtree(leftover)
            else:
                leftover.unlink(missing_ok=True)


@contextmanager
def resumable_write(path: Path) -> Iterator[Path]:
    """Like `atomic_write`, but an interrupted block leaves its files behind for the next block to continue.

    Only one process at a time may be in such a block for the same `path`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.unfinished")
    yield unfinished
    with atomic_write(path) as temporary:
        unfinished.rename(temporary)


def write_text(path: Path, parts: Iterable[str]) -> None:
    """Writes the parts of a UTF-8 text one after the other; the file appears whole or not at all."""
    with atomic_write(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(parts)
