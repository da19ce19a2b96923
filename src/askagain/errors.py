"""The one exception that means: the person at the keyboard gave something that cannot be used."""


class InputError(ValueError):
    """A mistake in what the user gave: a path, a file's content, a setting.

    The message is one line for that person: what was wrong, where (file and line number), and what to do about it.
    Commands print it without a traceback and exit with status 2.
    """
