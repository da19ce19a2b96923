"""The journal of an index: changes that are on disk, and not yet in a segment.

A line holds changes that were written together: the CRC-32 of the rest, a space, and a JSON list. It is flushed to the
disk before anyone is told that the changes hold. A last line without an end was cut off by a kill, and nobody was told
of it.
"""

import json
import os
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from askagain.errors import InputError
from askagain.files.writing import flush
from askagain.search.questions import Question


class Change(NamedTuple):
    """Questions to add and ids to remove, of which all takes place or nothing.

    `replaces`: a question with an id of the index takes the place of the earlier one.
    """

    add: Sequence[Question] = ()
    remove: Sequence[str] = ()
    replaces: bool = False


def append_changes(path: Path, changes: Sequence[Change]) -> None:
    """Appends a line and flushes it to the disk; only one process at a time may do so."""
    content = [[list(map(list, change.add)), list(change.remove)] for change in changes]
    line = json.dumps(content, ensure_ascii=False).encode()
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        end = _end_of_lines(descriptor)
        os.ftruncate(descriptor, end)
        try:
            _write_all(descriptor, b"%08x %b\n" % (zlib.crc32(line), line), end)
            os.fdatasync(descriptor)
        except OSError:
            os.ftruncate(descriptor, end)  # a full disk: nobody may take half a line for a whole one
            raise
    finally:
        os.close(descriptor)


def create_journal(path: Path) -> None:
    """An empty journal, of which the folder knows even after the power has failed."""
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o666)
    os.close(descriptor)
    flush(path)
    flush(path.parent)


def read_changes(path: Path, start: int = 0) -> tuple[list[Change], int]:
    """The changes from byte `start` on, and the byte after them.

    Raises InputError for a damaged line, and OSError.
    """
    with path.open("rb") as file:
        file.seek(start)
        content = file.read()
    content = content[: content.rfind(b"\n") + 1]
    changes = [change for line in content.splitlines() for change in _changes(path, line)]
    return changes, start + len(content)


def _changes(path: Path, line: bytes) -> list[Change]:
    try:
        if int(line[:8], 16) != zlib.crc32(line[9:]):
            raise ValueError("not what was written")
        return [Change([Question(*one) for one in add], remove, True) for add, remove in json.loads(line[9:])]
    except (ValueError, TypeError) as error:
        raise InputError(f"{path}: a line is damaged ({error}); take it out, or build the index again") from error


def _end_of_lines(descriptor: int) -> int:
    """The byte after the last whole line."""
    end = os.fstat(descriptor).st_size
    while end:
        start = max(0, end - 4096)
        place = os.pread(descriptor, end - start, start).rfind(b"\n")
        if place >= 0:
            return start + place + 1
        end = start
    return 0


def _write_all(descriptor: int, content: bytes, start: int) -> None:
    view = memoryview(content)
    while view:
        written = os.pwrite(descriptor, view, start)
        view, start = view[written:], start + written
