"""Runs the project's commands in processes that have imported already what the commands import.

A command spends most of a small run on importing PyTorch and Lightning. `WarmPython` starts one process that imports
them, and has it fork for each command; the fork then runs the script as `python SCRIPT WORDS...` would.
"""

import gc
import importlib
import json
import os
import runpy
import signal
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path
from typing import NoReturn

from hydra.core.plugins import Plugins

ROOT = Path(__file__).resolve().parent.parent
READY = "ready"
COMMANDS = ("askagain.apps.evaluate", "askagain.apps.train")
# What most of them import when they need it; not wandb, which removes the folder of its import where a fork ends.
OTHERS = (
    *("altair", "omegaconf._impl", "polars", "sklearn.isotonic", "sklearn.manifold"),
    *("tensorboard.plugins.hparams.api_pb2", "torch.utils.tensorboard"),
    *("askagain.apps.settings", "askagain.training.callbacks.progress_bar", "askagain.training.csv_logger"),
    *("askagain.training.data.duplicates", "askagain.training.modules.dssm", "askagain.training.starts"),
)


class WarmPython:
    """A process that forks for each command; used in a `with` block."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.warm_python"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> "WarmPython":
        assert self._answer() == READY
        return self

    def __exit__(self, *error: object) -> None:
        self._process.communicate(timeout=10)  # it ends where there is no more to read

    def run(self, script: Path, words: tuple[str, ...], cwd: Path, environment: dict[str, str], timeout: float):
        """What `subprocess.run` gives, with text captured; a command that takes too long is ended."""
        with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
            files = [f"/proc/{os.getpid()}/fd/{file.fileno()}" for file in (output, errors)]
            settings = {"script": str(script), "words": words, "cwd": str(cwd), "environment": environment}
            print(json.dumps({**settings, "files": files, "timeout": timeout}), file=self._process.stdin, flush=True)
            status = int(self._answer())
            for file in (output, errors):
                file.seek(0)
            return subprocess.CompletedProcess([str(script), *words], status, output.read(), errors.read())

    def _answer(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


def serve() -> None:
    """Forks for each line of standard input, and answers by the exit status; in a fork, runs the command and exits."""
    answers = os.dup(1)
    os.dup2(2, 1)  # what an import prints is no answer
    for module in (*COMMANDS, *OTHERS):
        importlib.import_module(module)
    Plugins.instance()  # looks for Hydra's plugins and imports them
    gc.freeze()  # forks need not look for garbage among what was imported, and so share its memory
    os.write(answers, f"{READY}\n".encode())
    for line in sys.stdin:
        given = json.loads(line)
        child = os.fork()
        if child == 0:
            os.close(answers)
            become(given)
        signal.signal(signal.SIGALRM, lambda number, frame, child=child: os.kill(child, signal.SIGKILL))
        signal.setitimer(signal.ITIMER_REAL, given["timeout"])
        _, status = os.waitpid(child, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
        os.write(answers, f"{os.waitstatus_to_exitcode(status)}\n".encode())


def become(given: dict) -> NoReturn:
    """Runs a script in the place of this program."""
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    for number, path in enumerate((os.devnull, *given["files"])):
        file = os.open(path, os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_APPEND)
        os.dup2(file, number)
        os.close(file)
    os.environ.clear()
    os.environ.update(given["environment"])
    os.chdir(given["cwd"])
    sys.argv = [given["script"], *given["words"]]
    sys.path[0] = str(Path(given["script"]).parent)
    try:
        runpy.run_path(given["script"], run_name="__main__")
    except Exception:
        traceback.print_exc()
        sys.exit(1)
    sys.exit()


if __name__ == "__main__":
    serve()
