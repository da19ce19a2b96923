"""Atomic writes of files and folders: written under a temporary name, then renamed."""

import ctypes
import hashlib
import os
import re
import shutil
import socket
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from askagain.errors import InputError

TEMPORARY = re.compile(r"\.(?P<name>.+)\.(?P<host>[0-9a-f]{8})-(?P<pid>\d+)-[0-9a-f]{32}\.(?P<end>part|old)")
WORKING_FOLDER, EXCHANGE = -100, 2  # arguments of Linux's renameat2


def _host() -> str:
    """A digest of what process ids belong to: a machine since its last start, and a namespace of it."""
    names = [socket.gethostname()]
    with suppress(OSError):  # containers may share the name of their machine
        names.append(str(Path("/proc/self/ns/pid").readlink()))
    with suppress(OSError):
        names.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii"))
    return hashlib.sha256("\n".join(names).encode()).hexdigest()[:8]


HOST = _host()


@contextmanager
def atomic_write(path: Path, durable: bool = False) -> Iterator[Path]:
    """Yields a temporary path beside `path`; the file or folder written there replaces `path` if the block succeeds.

    An existing folder is exchanged for the new one in one step where the system can do so, else it is renamed aside and
    removed at the end. What killed processes have left in the same folder is removed first. With `durable` all of it
    is flushed to the disk, so that a power failure after the block leaves the new content.
    """
    if not path.name:
        raise InputError(f"{path}: name a file or folder that is to be written")
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_leftovers(path.parent)
    unique = f"{HOST}-{os.getpid()}-{uuid.uuid4().hex}"
    temporary, aside = (path.with_name(f".{path.name}.{unique}.{end}") for end in ("part", "old"))
    try:
        yield temporary
        if durable:
            for part in [*temporary.rglob("*"), temporary]:
                flush(part)
        if temporary.is_dir() and path.is_dir():
            if _exchange(temporary, path):
                return
            path.rename(aside)
        temporary.replace(path)
        if durable:
            flush(path.parent)
    finally:
        if aside.is_dir() and not path.exists():  # the replacement failed
            aside.rename(path)
        for leftover in (temporary, aside):
            _remove(leftover)


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


def flush(path: Path) -> None:
    """Waits until what was written to a file, or the entries of a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_leftovers(folder: Path) -> None:
    """Removes temporary files of this machine's ended processes, and puts back a folder renamed aside.

    Those of another namespace of process ids, such as a container, and of before the machine's last start stay.
    """
    for entry in os.scandir(folder):
        found = TEMPORARY.fullmatch(entry.name) if entry.name.startswith(".") else None
        if found is None or found["host"] != HOST or _is_running(int(found["pid"])):
            continue
        original = folder / found["name"]
        if found["end"] == "old" and not original.exists():
            with suppress(OSError):  # another process was faster
                Path(entry.path).rename(original)
        else:
            _remove(Path(entry.path))


def _exchange(one: Path, other: Path) -> bool:
    """Exchanges the names of two folders in one step; False where the system cannot."""
    try:
        rename = ctypes.CDLL(None).renameat2
    except (AttributeError, OSError, TypeError):
        return False
    return rename(WORKING_FOLDER, os.fsencode(one), WORKING_FOLDER, os.fsencode(other), EXCHANGE) == 0


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):  # somebody else's
        return True
    return True


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
