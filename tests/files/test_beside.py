"""Work in a thread beside other work."""

import subprocess
import sys
from threading import Event

import pytest

from askagain.files.beside import beside


def test_the_result_is_there_when_the_work_is_done():
    may_end = Event()
    result = beside(lambda: may_end.wait(30) and 7)
    assert not result.done()
    may_end.set()
    assert result.result(timeout=30) == 7


def test_who_asks_for_the_result_gets_the_error():
    with pytest.raises(ZeroDivisionError):
        beside(lambda: 1 / 0).result(timeout=30)


def test_the_end_of_the_process_does_not_wait():
    program = "import time; from askagain.files.beside import beside; beside(lambda: time.sleep(60))"
    assert subprocess.run([sys.executable, "-c", program], timeout=30).returncode == 0
