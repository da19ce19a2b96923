"""Caches built folders, each named by a digest of everything that it depends on, with checksums of its files."""

import hashlib
import json
import logging
import shutil
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import TypeVar

from filelock import FileLock

from askagain.errors import InputError
from askagain.files.beside import beside
from askagain.files.checksums import check_files, write_checksums
from askagain.files.writing import atomic_write, resumable_write, write_text

Loaded = TypeVar("Loaded")
SHA256_DIGITS = 64
SETTLED_SECONDS = 2  # since the last change of a file, before its digest is remembered
LOADING_ERRORS = (OSError, EOFError, ValueError)  # that a damaged entry raises
LARGE_BYTES = 64 << 20  # an entry that is checked beside other work

log = logging.getLogger(__name__)

State = tuple[object, ...]  # of the files of an entry

_one_check_at_a_time = Lock()
_running: dict[tuple[Path, State], Future[None]] = {}  # checks of entries
_states: dict[Path, State] = {}  # of entries when they were checked


class Cache:
    """A cache of built folders.

    An entry is written under a temporary name and renamed, so it is whole or absent. A lock for each entry makes a
    second process wait for the first one and read what it built. `key`: what all entries depend on.

    An entry that is damaged when it is opened is built again. Of a large one only some blocks are checked then, and all
    of them in a thread: call `finish_checks` before a figure that comes of it is shown.
    """

    def __init__(
        self, folder: Path, key: dict[str, object] | None = None, settled_seconds: float = SETTLED_SECONDS
    ) -> None:
        self.folder = folder
        self.key = key or {}
        self._settled_seconds = settled_seconds

    def under(self, key: dict[str, object]) -> "Cache":
        """The same cache for entries that depend on `key` as well."""
        return Cache(self.folder, self.key | key, self._settled_seconds)

    def content_digest(self, path: Path) -> str:
        """SHA-256 of a file's bytes, remembered by its path, size and times of change.

        The digest of a file that has just changed is not remembered: another change may leave the same times.
        """
        now, status = time.time(), path.stat()
        state = [str(path.resolve()), status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]
        remembered = self.folder / f"digest-{_digest(state)}"
        try:
            known, _, check = remembered.read_text(encoding="ascii").partition(" ")
            if len(known) == SHA256_DIGITS and check == _digest([*state, known]):
                return known
        except (OSError, ValueError):
            pass  # not remembered, or damaged
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if now - max(status.st_mtime, status.st_ctime) > self._settled_seconds:
            write_text(remembered, [digest, " ", _digest([*state, digest])])
        return digest

    def entry(
        self,
        kind: str,
        key: dict[str, object],
        build: Callable[[Path], None],
        load: Callable[[Path], Loaded],
        resumable: bool = False,
    ) -> Loaded:
        """Loads an entry, which is built first where it is missing or damaged.

        Args:
            kind: the first part of the folder's name.
            key: everything else that the content depends on, as JSON values.
            build: fills the empty folder that it is given.
            load: reads that folder; an error in `LOADING_ERRORS` means that it is damaged.
            resumable: give `build` the folder of an earlier build that was interrupted, with its files.

        Returns:
            What `load` returns.
        """
        path = self.folder / f"{kind}-{_digest(self.key | key)}"
        if path.is_dir():
            try:
                return _checked(path, load)
            except LOADING_ERRORS:
                pass  # another process may be rebuilding it: try again under the lock
        self.folder.mkdir(parents=True, exist_ok=True)
        with FileLock(str(path) + ".lock"):
            if path.is_dir():
                try:
                    return _checked(path, load)
                except LOADING_ERRORS as error:
                    log.warning("%s is damaged (%s); it is built again", path, error)
            with resumable_write(path) if resumable else atomic_write(path) as temporary:
                temporary.mkdir(exist_ok=resumable)
                build(temporary)
                write_checksums(temporary)
            log.debug("%s: written to the cache, %s", kind, path)
            return load(path)


def finish_checks() -> None:
    """Waits for the checks of large entries; removes a damaged one and raises InputError for it."""
    while _running:
        (path, _), check = _running.popitem()
        try:
            check.result()
        except LOADING_ERRORS as error:
            _states.pop(path, None)
            remedy = "start" if _out_of_the_way(path) else "it cannot be removed: remove it and start"
            raise InputError(f"{path} was damaged ({error}): {remedy} again to build it anew") from error


def _out_of_the_way(path: Path) -> bool:
    """Removes an entry unless another process has built it again; False where it cannot be removed."""
    with suppress(OSError), FileLock(str(path) + ".lock"):
        try:
            check_files(path)
        except LOADING_ERRORS:
            if path.exists():
                shutil.rmtree(path)
        return True
    return False


def _checked(path: Path, load: Callable[[Path], Loaded]) -> Loaded:
    """What `load` reads of an entry, once its files have been checked, or their check has begun."""
    statuses = [(file.name, file.stat()) for file in sorted(path.iterdir())]
    state = tuple((name, status.st_size, status.st_mtime_ns, status.st_ino) for name, status in statuses)
    if _states.get(path) != state:
        is_large = sum(status.st_size for _, status in statuses) > LARGE_BYTES
        check_files(path, sampled=is_large)
        if is_large and (path, state) not in _running:
            _running[path, state] = beside(lambda: _check_all(path))
        _states[path] = state
    return load(path)


def _check_all(path: Path) -> None:
    with _one_check_at_a_time:
        check_files(path, threads=1)


def _digest(key: object) -> str:
    return hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:24]
