"""Errors that a command prints as one line: a mistake of the user's, a process or a run that failed."""

import errno
import sys

DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
NO_MEMORY = ("DefaultCPUAllocator: ", "CUDA error: out of memory", "MPS backend out of memory")  # as PyTorch says it


class InputError(ValueError):
    """A mistake in what the user gave: a path, a file's content, a setting.

    The message is one line for that person: what was wrong, where (file and line number), and what to do about it.
    Commands print it without a traceback and exit with status 2.
    """


def missing_package(package: str, extra: str) -> InputError:
    """The error of a package that is not installed, with the extra of askagain that installs it."""
    return InputError(f"{package} is not installed; in the folder of askagain, type pip install -e '.[{extra}]'")


class RankError(RuntimeError):
    """One of the processes that train together has failed; the message says which, and how.

    Commands print it without a traceback and exit with status 1.
    """

    status = 1


class RunError(RuntimeError):
    """A run of a sweep has failed; unlike its cause, this error can be pickled and sent between processes.

    Commands print it without a traceback and exit with `status`, the exit status that the run alone would have had.
    """

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message, status)
        self.status = status

    def __str__(self) -> str:
        return str(self.args[0])


def shortage(error: BaseException, memory_hint: str, disk_hint: str) -> str | None:
    """What an error says that comes of too little memory or disk, with what to do about it; None for another error."""
    if _is_of_memory(error):
        first = (str(error).strip().splitlines() or ["MemoryError"])[0]
        return f"not enough memory ({first}); {memory_hint}"
    if _is_of_disk(error):
        path = getattr(error, "filename", None)
        return f"{f'{path}: ' if path else ''}the disk is full; {disk_hint}"
    return None


def _is_of_memory(error: BaseException) -> bool:
    torch = sys.modules.get("torch")
    own_type = getattr(torch, "OutOfMemoryError", MemoryError)
    says_so = isinstance(error, RuntimeError) and any(words in str(error) for words in NO_MEMORY)
    return isinstance(error, MemoryError | own_type) or says_so


def _is_of_disk(error: BaseException) -> bool:
    if isinstance(error, OSError):
        return error.errno in DISK_FULL
    if type(error).__name__ == "SafetensorError":
        return "No space left on device" in str(error)
    return isinstance(error, RuntimeError) and "PytorchStreamWriter failed writing" in str(error)
