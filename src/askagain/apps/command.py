"""Runs a Hydra entry point so that a mistake in the user's input is answered by one line and exit status 2."""

import errno
import functools
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

from askagain.apps.sweep import print_comparison
from askagain.errors import InputError

FULL_ERROR = "HYDRA_FULL_ERROR"
TRACEBACK_WANTED = os.environ.get(FULL_ERROR) == "1"
NULL_GROUP = "Config group override must be"  # how Hydra begins what it says of GROUP=null
DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
USER_MISTAKES = (InputError, HydraException, OmegaConfBaseException)


Result = TypeVar("Result")


def run(main: Callable[[], object]) -> None:
    """Calls a function decorated by `hydra.main`; a mistake on the command line is answered as in `one_line_errors`.

    After a sweep its runs are compared, also where some of them failed.
    """
    # Hydra then raises what it finds wrong with the overrides, instead of printing it over several lines.
    os.environ[FULL_ERROR] = "1"
    try:
        _answered(main)
    finally:
        print_comparison()


def one_line_errors(function: Callable[..., Result]) -> Callable[..., Result]:
    """Decorates what Hydra calls: a user's mistake prints one line on standard error and exits with status 2.

    In a sweep the mistake is raised to Hydra instead, which goes on with the other runs and raises it again when they
    are done. With HYDRA_FULL_ERROR=1 in the environment nothing is caught, so that the traceback is shown.
    """

    @functools.wraps(function)
    def wrapped(*args: Any) -> Result:
        asked_for = os.environ.pop(FULL_ERROR, None)  # `run` set it for Hydra, not for processes started from here
        if TRACEBACK_WANTED:
            os.environ[FULL_ERROR] = "1"
        try:
            in_sweep = HydraConfig.initialized() and HydraConfig.get().mode == RunMode.MULTIRUN
            return function(*args) if in_sweep else _answered(function, *args)
        finally:
            if asked_for is not None:
                os.environ[FULL_ERROR] = asked_for

    return wrapped


def _answered(function: Callable[..., Result], *args: Any) -> Result:
    try:
        return function(*args)
    except BrokenPipeError:  # whoever read the output, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)  # as of a program that SIGPIPE ended
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)
    except (*USER_MISTAKES, OSError, ValueError) as error:
        line = None if TRACEBACK_WANTED else _one_line(error)
        if line is None:
            raise
        print(f"error: {line}", file=sys.stderr)
        sys.exit(2)


def _one_line(error: BaseException) -> str | None:
    """The message for the user, on one line, or None where the error is not the user's mistake."""
    mistakes = [link for link in _chain(error) if isinstance(link, InputError)]
    if mistakes:
        return _joined(str(mistakes[0]))
    if isinstance(error, ValueError) and NULL_GROUP in str(error):
        return "a group cannot be set to null on the command line; choose one of its configs, such as logger=none"
    if isinstance(error, OSError) and error.errno in DISK_FULL:
        return f"{error.strerror}; free some, or set paths.runs_dir and paths.cache_dir to another disk"
    if isinstance(error, OSError) and not isinstance(error, HydraException):
        return f"{error.filename}: {error.strerror}" if error.filename else None
    if not isinstance(error, USER_MISTAKES):
        return None
    if error.__cause__ is not None and not isinstance(error.__cause__, USER_MISTAKES):
        return None  # A defect of ours that Hydra wrapped while it built an object: the traceback is wanted.
    causes = [_joined(str(link)) for link in _chain(error) if str(link)]
    return "; ".join(dict.fromkeys(causes)) + ("; set it on the command line" if _is_missing(error) else "")


def _is_missing(error: BaseException) -> bool:
    return any(isinstance(link, MissingMandatoryValue) for link in _chain(error))


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__


def _joined(message: str) -> str:
    """The message on one line, without what Hydra and OmegaConf add for those who write configs."""
    line = " ".join(message.split())
    for addition in (" Config search path:", " full_key:"):
        line = line.split(addition)[0]
    return line
