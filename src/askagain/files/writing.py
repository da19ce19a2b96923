"""Files and folders that appear whole or not at all: write under a temporary name, then rename."""

import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
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
        for leftover in (temporary, aside):
            if leftover.is_dir():
                shutil.rmtree(leftover)
            else:
                leftover.unlink(missing_ok=True)
