"""Errors that a command prints as one line: a mistake of the user's, a process or a run that failed."""

import errno

DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
OUT_OF_MEMORY = ("can't allocate memory", "not enough memory", "CUDA out of memory", "Unable to allocate")
FULL = ("No space left on device", "PytorchStreamWriter failed writing")  # as safetensors and PyTorch say it


class InputError(ValueError):
    """A mistake in what the user gave: a path, a file's content, a setting.

    The message is one line for that person: what was wrong, where (file and line number), and what to do about it.
    Commands print it without a traceback and exit with status 2.
    """


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
    if isinstance(error, MemoryError) or any(words in str(error) for words in OUT_OF_MEMORY):
        first = (str(error).strip().splitlines() or ["MemoryError"])[0]
        return f"not enough memory ({first}); {memory_hint}"
    full = next((mark for mark in FULL if mark in str(error)), None)
    if full is not None or (isinstance(error, OSError) and error.errno in DISK_FULL):
        return f"{full or getattr(error, 'strerror', None)}; {disk_hint}"
    return None
