"""Runs a Hydra entry point so that a mistake in the user's input is answered by one line and exit status 2."""

import os
import sys
from collections.abc import Callable, Iterator

from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from askagain.errors import InputError

FULL_ERROR = "HYDRA_FULL_ERROR"
USER_MISTAKES = (InputError, HydraException, OmegaConfBaseException)


def run(main: Callable[[], object]) -> None:
    """Calls a function decorated by `hydra.main`; prints one line for a user's mistake and exits with status 2.

    With HYDRA_FULL_ERROR=1 in the environment nothing is caught, so that the traceback is shown.
    """
    if os.environ.get(FULL_ERROR):
        main()
        return
    os.environ[FULL_ERROR] = "1"  # Hydra then raises here instead of printing and exiting with status 1.
    try:
        main()
    except USER_MISTAKES + (OSError,) as error:
        line = _one_line(error)
        if line is None:
            raise
        print(f"error: {line}", file=sys.stderr)
        sys.exit(2)


def _one_line(error: BaseException) -> str | None:
    """The message for the user, on one line, or None where the error is not the user's mistake."""
    mistakes = [link for link in _chain(error) if isinstance(link, InputError)]
    if mistakes:
        return _joined(str(mistakes[0]))
    if isinstance(error, OSError):
        return f"{error.filename}: {error.strerror}" if error.filename else None
    if error.__cause__ is not None and not isinstance(error.__cause__, USER_MISTAKES):
        return None  # A defect of ours that Hydra wrapped while it built an object: the traceback is wanted.
    causes = [_joined(str(link)) for link in _chain(error) if str(link)]
    return "; ".join(dict.fromkeys(causes))


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__


def _joined(message: str) -> str:
    return " ".join(message.split())
