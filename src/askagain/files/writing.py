"""Files and folders that appear whole or not at all: write under a temporary name, then rename."""

import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yields a temporary path beside `path`; what the block wrote there replaces `path` if the block succeeds.

    Works for a file and for a folder. A folder that stands in the way is renamed aside and removed at the end.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary, aside = (path.with_name(f".{path.name}.{uuid.uuid4().hex}.{end}") for end in ("part", "old"))
    try:
        yield temporary
        if temporary.is_dir() and path.is_dir():
            path.rename(aside)
        temporary.replace(path)
    finally:
        if aside.is_dir() and not path.exists():  # it was not replaced after all
            aside.rename(path)
        for leftover in (temporary, aside):
            if leftover.is_dir():
                shutil.rmtree(leftover)
            else:
                leftover.unlink(missing_ok=True)


@contextmanager
def resumable_write(path: Path) -> Iterator[Path]:
    """Like `atomic_write`, but what a block that did not end has written stays, and the next block is given it again.

    No two processes may be in such a block for the same `path` at once.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.unfinished")
    yield unfinished
    with atomic_write(path) as temporary:
        unfinished.rename(temporary)
