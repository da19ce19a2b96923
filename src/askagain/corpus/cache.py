"""A folder of results that took time, each named by a digest of all that it depends on."""

import hashlib
import json
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from filelock import FileLock

from askagain.files.writing import atomic_write, resumable_write

Loaded = TypeVar("Loaded")
SHA256_DIGITS = 64
SETTLED_SECONDS = 2
LOADING_ERRORS = (OSError, EOFError, ValueError)  # what loading a damaged entry raises

log = logging.getLogger(__name__)


class Cache:
    """Keeps built folders. An entry is written under a temporary name and renamed, so it is whole or absent; a lock
    an entry makes a second process wait for the first and read what it built, instead of building it again.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def content_digest(self, path: Path) -> str:
        """SHA-256 of a file's bytes, remembered by its path, size and times of change.

        A file that changed within the last seconds is not remembered: a second change may leave the same time.
        """
        now, status = time.time(), path.stat()
        state = [str(path.resolve()), status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]
        remembered = self.folder / f"digest-{_digest(state)}"
        try:
            known = remembered.read_text(encoding="ascii")
            if len(known) == SHA256_DIGITS:
                return known
        except (OSError, ValueError):
            pass  # not remembered, or damaged
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if now - max(status.st_mtime, status.st_ctime) > SETTLED_SECONDS:
            with atomic_write(remembered) as temporary:
                temporary.write_text(digest, encoding="ascii")
        return digest

    def entry(
        self,
        kind: str,
        key: dict[str, object],
        build: Callable[[Path], None],
        load: Callable[[Path], Loaded],
        resumable: bool = False,
    ) -> Loaded:
        """What `load(folder)` gives of the entry for `key`; `build(empty_folder)` fills it where it is not there yet.

        `kind` starts the folder's name. `key`: all that the content depends on, as plain JSON values. An entry that
        cannot be loaded is damaged, and is built once more. With `resumable`, the folder that `build` gets may hold
        what an earlier build had written when it was ended.
        """
        path = self.folder / f"{kind}-{_digest(key)}"
        if path.is_dir():
            try:
                return load(path)
            except LOADING_ERRORS:
                pass  # damaged, as it seems: looked at again when no other process can be at work on it
        self.folder.mkdir(parents=True, exist_ok=True)
        with FileLock(str(path) + ".lock"):
            if path.is_dir():
                try:
                    return load(path)
                except LOADING_ERRORS as error:
                    log.warning("%s is damaged (%s); it is built once more", path, error)
            with resumable_write(path) if resumable else atomic_write(path) as temporary:
                temporary.mkdir(exist_ok=resumable)
                build(temporary)
            log.info("%s: written to the cache, %s", kind, path)
            return load(path)


def _digest(key: object) -> str:
    return hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:24]
