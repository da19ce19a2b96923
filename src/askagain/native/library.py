"""Libraries in C that are compiled on this machine, for its processor, and kept; without a compiler there are none."""

import ctypes
import hashlib
import logging
import os
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from threading import Lock, Thread
from typing import Any

from askagain.errors import InputError

log = logging.getLogger(__name__)

AUTO, PLAIN = "auto", "plain"
CHOICE = "ASKAGAIN_KERNELS"  # environment variables
CACHE = "ASKAGAIN_CACHE"
COMPILERS = ("cc", "gcc", "clang")
FLAGS = ("-O3", "-march=native", "-fno-math-errno", "-fno-trapping-math", "-fPIC")
TIMEOUT = 120.0  # seconds to compile, which takes half of one

_choice: str | None = None
_folder: Path | None = None


def use(choice: str | None = None, folder: Path | None = None) -> None:
    """Chooses for this process, until the next call.

    `choice`: `auto`, or `plain` for nothing in C (None: $ASKAGAIN_KERNELS, or `auto`). `folder`: where compiled code is
    kept (None: `kernels` in $ASKAGAIN_CACHE, or in ~/.cache/askagain).
    """
    global _choice, _folder
    _choice, _folder = choice, folder


def choice() -> str:
    """`auto` or `plain`; raises InputError where the environment says something else."""
    chosen = _choice or os.environ.get(CHOICE) or AUTO
    if chosen not in (AUTO, PLAIN):
        raise InputError(f"{CHOICE}={chosen}: must be {AUTO} or {PLAIN}")
    return chosen


def folder() -> Path:
    """Where compiled code is kept."""
    return _folder or _default_folder(os.environ.get(CACHE), os.environ.get("HOME"))


@cache
def _default_folder(cache_folder: str | None, home: str | None) -> Path:
    """`home`: what `Path.home` depends on."""
    return (Path(cache_folder) if cache_folder else Path.home() / ".cache" / "askagain").resolve() / "kernels"


class Library:
    """A library in C. It is compiled in a thread, beside other work, unless it has been compiled before.

    Args:
        source: the file.
        flags: beside `FLAGS`.
        linked: gives a file to link with; None where there is none, and so no library.
    """

    def __init__(
        self, source: Path, flags: tuple[str, ...] = (), linked: Callable[[], str | None] | None = None
    ) -> None:
        self._source = source
        self._flags = (*FLAGS, *flags)
        self._linked = linked
        self._lock = Lock()
        self._made_for: tuple[str, Path] | None = None
        self._thread: Thread | None = None
        self._loaded: ctypes.CDLL | None = None

    def start(self) -> None:
        """Begins to compile it, or loads what was compiled."""
        with self._lock:
            wanted = (choice(), folder())
            if wanted == self._made_for:
                return
            self._made_for, self._loaded, self._thread = wanted, None, None
            if wanted[0] == PLAIN:
                return
            self._thread = Thread(target=self._load, args=(wanted[1],), daemon=True)
            self._thread.start()

    def loaded(self, wait: bool) -> ctypes.CDLL | None:
        """The library; None where there is none, or where it is not ready and one does not `wait`."""
        self.start()
        thread = self._thread
        if thread is not None and (wait or not thread.is_alive()):
            thread.join()
            self._thread = None
        return self._loaded if self._thread is None else None

    def _load(self, place: Path) -> None:
        processor = _processor()
        compiler = os.environ.get("CC") or next(filter(None, map(shutil.which, COMPILERS)), None)
        linked = None if self._linked is None else self._linked()
        if processor is None or compiler is None or (self._linked is not None and linked is None):
            return
        made_of = (self._source.read_bytes(), compiler.encode(), " ".join(self._flags).encode(), processor)
        digest = hashlib.sha256(b"|".join((*made_of, str(linked).encode()))).hexdigest()[:32]
        path = place / f"{self._source.stem}-{digest}.so"
        try:
            if not _is_ours(path):
                self._compile(compiler, linked, path)
            self._loaded = ctypes.CDLL(str(path))
        except (OSError, subprocess.SubprocessError) as error:
            log.debug("%s: %s", self._source.name, error)

    def _compile(self, compiler: str, linked: str | None, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent) as scratch:
            compiled, made = Path(scratch, "compiled.o"), Path(scratch, "made.so")
            settings: Any = {"check": True, "capture_output": True, "timeout": TIMEOUT}
            subprocess.run([compiler, *self._flags, "-c", str(self._source), "-o", str(compiled)], **settings)
            others = [linked] if linked else []
            subprocess.run([compiler, "-shared", str(compiled), *others, "-lm", "-o", str(made)], **settings)
            made.chmod(0o500)
            made.replace(path)


def _is_ours(path: Path) -> bool:
    """Whether this user has written the file and nobody else can: what is in it will be run."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return False
    return status.st_uid == os.getuid() and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _processor() -> bytes | None:
    """What machine code depends on; None where it is unknown."""
    try:
        lines = Path("/proc/cpuinfo").read_bytes().splitlines()
    except OSError:
        return None
    names = (b"vendor_id", b"cpu family", b"model", b"flags", b"Features", b"CPU part")
    return b"|".join(dict.fromkeys(line for line in lines if line.startswith(names)))
