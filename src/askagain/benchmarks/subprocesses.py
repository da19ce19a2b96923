"""Runs what is measured in a process of its own, and tells how long it took and how much memory it had."""

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from typing import NamedTuple

from askagain.errors import InputError

PEAK = "\npeak of resident memory in KiB: "
# A process begins with the largest memory that the one which started it ever had, so it is started by a small one.
LAUNCHER = f"""
import os, sys
process = os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ)
_, status, usage = os.wait4(process, 0)
print({PEAK!r} + str(usage.ru_maxrss), end="")
sys.exit(os.waitstatus_to_exitcode(status) % 256)
"""


class Finished(NamedTuple):
    """`output`: standard output and error together; `seconds`: from start to end; `peak_bytes`: resident memory at its
    largest, of the largest process where it started others.
    """

    output: str
    seconds: float
    peak_bytes: int


def run_process(words: Sequence[object]) -> Finished:
    """Runs a command to its end; raises InputError with the last line it printed where it fails."""
    command = list(map(str, words))
    began = time.perf_counter()
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as output:
        launched = [sys.executable, "-S", "-c", LAUNCHER, *command]
        process = subprocess.Popen(
            launched, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            process.wait()
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
        seconds = time.perf_counter() - began
        output.seek(0)
        text, _, peak = output.read().rpartition(PEAK)
    if process.returncode:
        last = next((line for line in reversed(text.splitlines()) if line.strip()), "it printed nothing")
        raise InputError(f"{' '.join(command)}: ended with status {process.returncode}: {last}")
    return Finished(text, seconds, int(peak) * 1024)


def seconds_until(words: Sequence[object], seen: str) -> float:
    """Seconds from the start of a command to the first line, on either output, with `seen` in it.

    The command then goes on to its end. Raises InputError where no such line came.
    """
    command = list(map(str, words))
    began = time.perf_counter()
    found = None
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if found is None and seen in line:
                found = time.perf_counter() - began
    if found is None or process.returncode:
        raise InputError(f"{' '.join(command)}: ended with status {process.returncode}, or before it came so far")
    return found


def number_in(output: str, pattern: str) -> float:
    """The number that the first group of `pattern` finds in what a program printed; raises InputError without one."""
    match = re.search(pattern, output)
    if match is None:
        raise InputError(f"no {pattern!r} in what was printed: {output.strip()[-300:]}")
    return float(match.group(1))
