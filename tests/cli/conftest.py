"""The console script, called in this process as its entry point does."""

import signal
import sys
from collections.abc import Callable
from typing import NamedTuple

import pytest

from askagain.cli.main import main


class Answer(NamedTuple):
    """What a verb did: its exit status, and what it printed."""

    status: int
    out: str
    err: str


@pytest.fixture
def askagain(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., Answer]:
    """Calls `askagain WORDS...`."""

    def call(*words: object) -> Answer:
        monkeypatch.setattr(sys, "argv", ["askagain", *map(str, words)])
        handler = signal.getsignal(signal.SIGTERM)
        capfd.readouterr()
        try:
            main()
        except SystemExit as ended:
            status = ended.code
        finally:
            signal.signal(signal.SIGTERM, handler)
        printed = capfd.readouterr()
        return Answer(int(status or 0), printed.out, printed.err)

    return call


def refused(answer: Answer) -> str:
    """The one line with which a verb refused its input."""
    assert answer.status == 2, answer
    lines = answer.err.splitlines()
    assert lines and lines[-1].startswith("error: "), answer
    assert "Traceback" not in answer.err
    return lines[-1]
