"""Upkeep runs beside the server."""

import os
import subprocess
import time

from askagain.search import index_writer


def test_upkeep_is_started_without_a_fork(serve, index, monkeypatch):
    # A fork of this process while a thread of it is in OpenBLAS leaves that thread spinning forever.
    forks, started, is_watched = [], [], [True]
    os.register_at_fork(before=lambda: forks.append(1) if is_watched[0] else None)

    class Noted(subprocess.Popen):
        def __init__(self, *arguments, **settings):
            super().__init__(*arguments, **settings)
            started.append(self)

    monkeypatch.setattr(subprocess, "Popen", Noted)
    monkeypatch.setattr(index_writer, "FOLD_ROWS", 5)
    server = serve(index)
    server.post("/questions", {"questions": [{"text": "vim"}] * 10})
    deadline = time.monotonic() + 30
    while not (forks or (started and started[0].returncode is not None)) and time.monotonic() < deadline:
        time.sleep(0.05)
    is_watched[0] = False
    assert not forks
    assert started[0].returncode == 0 and started[0].args[1:3] == ["-m", "askagain.serving.upkeep"]
