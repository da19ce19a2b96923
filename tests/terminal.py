"""Commands in a pseudo-terminal."""

import os
import pty
import subprocess
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def on_terminal(words: Sequence[str], **environment: str) -> tuple[int, str]:
    """Runs a command with output and errors on a terminal of 100 columns; returns its status and all it wrote."""
    master, slave = pty.openpty()
    unset = ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "COLORTERM")
    inherited = {name: value for name, value in os.environ.items() if name not in unset}
    settings = inherited | {"TERM": "xterm-256color", "COLUMNS": "100", "LINES": "50"} | environment
    process = subprocess.Popen(
        words, cwd=ROOT, env=settings, stdin=subprocess.DEVNULL, stdout=slave, stderr=slave, close_fds=True
    )
    os.close(slave)
    pieces = []
    while True:
        try:
            piece = os.read(master, 1 << 16)
        except OSError:  # Linux reports the end so
            break
        if not piece:
            break
        pieces.append(piece)
    os.close(master)
    return process.wait(timeout=300), b"".join(pieces).decode()
