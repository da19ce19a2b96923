"""Errors that a command prints as one line: a mistake of the user's, a process or a run that failed."""


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
