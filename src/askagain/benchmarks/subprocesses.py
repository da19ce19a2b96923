"""Runs a command in a process of its own and measures its time and peak memory."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from askagain.errors import InputError
from askagain.ranking.metrics import Metrics

PEAK = "\npeak of resident memory in KiB: "
# A process inherits the peak memory of the one that starts it, so a small process starts it.
LAUNCHER = f"""
import os, sys
process = os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ)
_, status, usage = os.wait4(process, 0)
print({PEAK!r} + str(usage.ru_maxrss), end="")
sys.exit(os.waitstatus_to_exitcode(status) % 256)
"""


class Finished(NamedTuple):
    """A finished command.

    `output`: stdout and stderr. `seconds`: from start to end. `peak_bytes`: resident memory of its largest process.
    """

    output: str
    seconds: float
    peak_bytes: int


def run_process(arguments: Sequence[object]) -> Finished:
    """Runs a command; raises InputError with its last line of output where it fails."""
    command = list(map(str, arguments))
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


def measured(arguments: Sequence[object]) -> Metrics:
    """The measurements that a command prints last, as JSON, and its `peak` memory in MiB."""
    finished = run_process(arguments)
    return json.loads(finished.output.splitlines()[-1]) | {"peak": finished.peak_bytes / 2**20}


def seconds_until(arguments: Sequence[object], wanted: str | Callable[[str], bool], cache: Path | None = None) -> float:
    """Seconds from the start of a command to its first line of output that is `wanted`, at which the command is ended.

    `wanted`: text that the line has, or what is true of it. `cache`: of its data and of compiled code (None: the
    user's). Raises InputError where it ends without such a line.
    """
    environment = dict(os.environ) if cache is None else os.environ | {"ASKAGAIN_CACHE": str(cache)}
    is_wanted = wanted if callable(wanted) else lambda line: wanted in line
    last = "no line"
    command = list(map(str, arguments))
    began = time.perf_counter()
    streams: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    with subprocess.Popen(command, **streams, text=True, env=environment) as process:
        assert process.stdout is not None
        for line in process.stdout:
            last = line.strip() or last
            if is_wanted(line):
                seconds = time.perf_counter() - began
                process.kill()
                return seconds
    what = "such a line" if callable(wanted) else f"a line with {wanted!r}"
    raise InputError(f"{' '.join(command)}: ended with status {process.returncode}, without {what}: {last}")
