"""Work that is done beside other work, in a thread."""

from collections.abc import Callable
from concurrent.futures import Future
from threading import Thread
from typing import TypeVar

Result = TypeVar("Result")


def beside(function: Callable[[], Result]) -> Future[Result]:
    """Calls a function in a thread, which the end of the process does not wait for."""
    called: Future[Result] = Future()

    def call() -> None:
        try:
            called.set_result(function())
        except Exception as error:  # who asks for the result raises it
            called.set_exception(error)

    Thread(target=call, daemon=True).start()
    return called
