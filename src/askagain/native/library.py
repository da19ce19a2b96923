"""Libraries in C that are compiled on this machine, for its processor, and kept; without a compiler there are none."""

import ctypes
import hashlib
import logging
import os
import shlex
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from threading import Event, Lock, Thread
from types import MappingProxyType
from typing import Any

import numpy as np

from askagain.errors import InputError

log = logging.getLogger(__name__)

AUTO, PLAIN, GRAPHS = CHOICES = ("auto", "plain", "graphs")
CHOICE = "ASKAGAIN_KERNELS"  # environment variables
CACHE, USERS_CACHE = "ASKAGAIN_CACHE", "XDG_CACHE_HOME"
COMPILERS = ("cc", "gcc", "clang")
FLAGS = ("-O3", "-march=native", "-fno-math-errno", "-fno-trapping-math", "-fPIC")
TIMEOUT = 120.0  # seconds to compile, which takes half of one

_choice: str | None = None
_folder: Path | None = None


def use(choice: str | None = None, folder: Path | None = None) -> None:
    """Chooses for this process, until the next call.

    `choice`: `auto`; `plain` for nothing in C; `graphs`, which is `auto` with CUDA graphs (None: $ASKAGAIN_KERNELS or
    `auto`). `folder`: where compiled code is kept (None: `kernels` in $ASKAGAIN_CACHE, or in `askagain` in the user's
    cache, $XDG_CACHE_HOME or ~/.cache).
    """
    global _choice, _folder
    _choice, _folder = choice, folder


def choice() -> str:
    """`auto`, `plain` or `graphs`; raises InputError where the environment says something else."""
    chosen = _choice or os.environ.get(CHOICE) or AUTO
    if chosen not in CHOICES:
        raise InputError(f"{CHOICE}={chosen}: must be {AUTO}, {PLAIN} or {GRAPHS}")
    return chosen


def folder() -> Path:
    """Where compiled code is kept."""
    return _folder or _default_folder(*map(os.environ.get, (CACHE, USERS_CACHE, "HOME")))


@cache
def _default_folder(cache_folder: str | None, users_cache: str | None, home: str | None) -> Path:
    """`home`: what `Path.home` depends on; without one it is a folder for temporary files."""
    if cache_folder:
        return Path(cache_folder).resolve() / "kernels"
    if users_cache and Path(users_cache).is_absolute():  # others are to be ignored, as the XDG base directories say
        return Path(users_cache) / "askagain" / "kernels"
    try:
        return Path.home() / ".cache" / "askagain" / "kernels"
    except RuntimeError:
        return Path(tempfile.gettempdir()) / f"askagain-kernels-{os.getuid()}"


def pointer(array: np.ndarray) -> ctypes.c_void_p:
    """Where the numbers of an array begin, which it keeps; raises ValueError for an array that is not in one piece."""
    if not array.flags.c_contiguous:
        raise ValueError("an array that is not in one piece")
    address = ctypes.c_void_p(array.ctypes.data)
    address.array = array  # type: ignore[attr-defined]  # a copy that was made for a call must last as long
    return address


class Library:
    """A library in C. It is compiled in a thread, beside other work, unless it has been compiled before.

    Args:
        source: the file.
        flags: beside `FLAGS`.
        linked: gives a file to link with; None where there is none, and so no library.
        results: the types of what functions return, by name (others: a C int, or nothing).
    """

    def __init__(
        self,
        source: Path,
        flags: tuple[str, ...] = (),
        linked: Callable[[], str | None] | None = None,
        results: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        self._source = source
        self._results = dict(results)
        self._flags = (*FLAGS, *flags)
        self._linked = linked
        self._forget()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._forget)  # a thread of the parent's does not run in the child

    def start(self) -> None:
        """Begins to compile it, or loads what was compiled."""
        self._attempted(may_compile=True)

    def loaded(self, wait: bool, may_compile: bool = True) -> ctypes.CDLL | None:
        """The library; None where there is none, or where it is being compiled and one does not `wait`.

        `may_compile`: else it is loaded only if it has been compiled before.
        """
        attempt = self._attempted(may_compile)
        if attempt is None:
            return None
        attempt.decided.wait()  # what was compiled before is loaded in a millisecond
        if attempt.compiles and attempt.is_alive() and not wait:
            return None
        attempt.join()
        return attempt.library

    def _forget(self) -> None:
        self._lock = Lock()
        self._attempt: _Attempt | None = None

    def _attempted(self, may_compile: bool) -> "_Attempt | None":
        """The attempt for what is chosen now, which is begun if it must be."""
        if choice() == PLAIN:
            return None
        place = folder()
        with self._lock:
            attempt = self._attempt
            if attempt is None or attempt.folder != place or (may_compile and attempt.lacks_permission):
                settings = (self._source, self._flags, self._linked, self._results)
                attempt = self._attempt = _Attempt(*settings, place, may_compile)
                attempt.start()
            return attempt


class _Attempt(Thread):
    """Loads a library from a folder, and compiles it if it is not there. An exit waits for it: for a second at most."""

    def __init__(
        self,
        source: Path,
        flags: tuple[str, ...],
        linked: Callable[[], str | None] | None,
        results: Mapping[str, Any],
        folder: Path,
        may_compile: bool,
    ) -> None:
        super().__init__(daemon=False)
        self.folder = folder
        self.library: ctypes.CDLL | None = None
        self.lacks_permission = False  # to compile
        self.compiles = False
        self.decided = Event()  # whether it compiles
        self._source = source
        self._flags = flags
        self._linked = linked
        self._results = results
        self._may_compile = may_compile

    def run(self) -> None:
        try:
            self._load()
        finally:
            self.decided.set()

    def _load(self) -> None:
        processor, compiler = _processor(), _compiler()
        linked = None if self._linked is None else self._linked()
        if processor is None or compiler is None or (self._linked is not None and linked is None):
            return
        try:
            made_of = (self._source.read_bytes(), processor, *map(str.encode, (*compiler, *self._flags, str(linked))))
            digest = hashlib.sha256(b"|".join((*made_of, str(os.getuid()).encode()))).hexdigest()[:32]
            path = self.folder / f"{self._source.stem}-{digest}.so"
            if not (_is_ours(self.folder) and _is_ours(path)):
                if not self._may_compile:
                    self.lacks_permission = True
                    return
                self.compiles = True
                self.decided.set()
                self._compile(compiler, linked, path)
            library = ctypes.CDLL(str(path))
            for name, result in self._results.items():
                getattr(library, name).restype = result
            self.library = library
        except subprocess.CalledProcessError as error:
            said = (error.stderr.decode(errors="replace").strip().splitlines() or ["no reason given"])[0]
            log.warning("%s: %s does not compile it (%s); what is in Python takes over", path.stem, compiler[0], said)
        except (OSError, subprocess.SubprocessError) as error:
            log.debug("%s: %s", self._source.name, error)

    def _compile(self, compiler: list[str], linked: str | None, path: Path) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not _is_ours(path.parent):
            raise PermissionError(f"{path.parent}: others may write here")
        with tempfile.TemporaryDirectory(dir=path.parent) as scratch:
            compiled, made = Path(scratch, "compiled.o"), Path(scratch, "made.so")
            settings: Any = {"check": True, "capture_output": True, "timeout": TIMEOUT}
            subprocess.run([*compiler, *self._flags, "-c", str(self._source), "-o", str(compiled)], **settings)
            others = [linked] if linked else []
            subprocess.run([*compiler, "-shared", str(compiled), *others, "-lm", "-o", str(made)], **settings)
            made.chmod(0o500)
            made.replace(path)


def _compiler() -> list[str] | None:
    """The words that begin its command line."""
    try:
        named = shlex.split(os.environ.get("CC", ""))
    except ValueError:  # a quote that does not end
        return None
    if named:
        return named if shutil.which(named[0]) else None
    path = next(filter(None, map(shutil.which, COMPILERS)), None)
    return None if path is None else [path]


def _is_ours(path: Path) -> bool:
    """Whether this user has made it and nobody else can write it: what is in it will be run."""
    try:
        status = path.lstat()
    except FileNotFoundError:
        return False
    own = stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)
    return own and status.st_uid == os.getuid() and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _processor() -> bytes | None:
    """What machine code depends on; None where it is unknown."""
    try:
        lines = Path("/proc/cpuinfo").read_bytes().splitlines()
    except OSError:
        return None
    names = (b"vendor_id", b"cpu family", b"model", b"flags", b"Features", b"CPU part")
    return b"|".join(dict.fromkeys(line for line in lines if line.startswith(names)))
