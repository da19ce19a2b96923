"""Trainings that a leaderboard starts, each a process of train.py with a run folder of its own."""

import logging
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree

from omegaconf import OmegaConf

from askagain.apps.api import quoted
from askagain.apps.sweep import METRICS, read_metrics
from askagain.errors import InputError, RunError
from askagain.files.checksums import DamagedError

TRAIN = "train.py"
MISTAKE = 2  # its exit status for a mistake of the user's

log = logging.getLogger(__name__)


@dataclass
class Trainings:
    """Runs the trainings of a leaderboard, each in its own folder below `folder`, and counts them.

    `shared`: overrides of all trainings. `root`: the folder of train.py. `total`: the number of trainings.
    """

    folder: Path
    shared: list[str]
    root: Path
    total: int
    begun: int = 0

    def run(self, name: str, overrides: Sequence[str], seed: int) -> Path:
        """Trains with these overrides, unless an earlier leaderboard has; returns the run folder.

        Raises InputError where the training finds a mistake, and RunError where it fails otherwise.
        """
        self.begun += 1
        folder = self.folder / name.replace("/", "_") / f"seed-{seed}"
        given = [*self.shared, *overrides, f"seed={seed}"]
        which = f"training {self.begun} of {self.total}: {name}, seed {seed}"
        if _done(folder, given):
            log.info("%s: already in %s, not repeated", which, folder)
            return folder
        log.info("%s", which)
        # Results of another training must not be taken for this one's if it is killed.
        (folder / METRICS).unlink(missing_ok=True)
        rmtree(folder / "encoder", ignore_errors=True)
        command = [sys.executable, str(self.root / TRAIN), *given, f"hydra.run.dir={quoted(folder)}"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as training:
            try:
                shown = _output(training)
            except BaseException:  # Ctrl-C or a signal ends the leaderboard: not without its training
                training.terminate()
                training.wait()
                raise
        if training.returncode:
            last_line = shown.splitlines()[-1] if shown else "failed"
            message = f"{shlex.join([TRAIN, *overrides])}: {last_line.removeprefix('error: ')}"
            raise InputError(message) if training.returncode == MISTAKE else RunError(message, 1)
        return folder


def _output(process: "subprocess.Popen[str]") -> str:
    """All that a process prints; looks up every second, since a signal does not interrupt every wait."""
    while True:
        try:
            return process.communicate(timeout=1)[0]
        except subprocess.TimeoutExpired:
            continue


def _done(folder: Path, given: Sequence[str]) -> bool:
    """Whether a training with these overrides has finished in this folder."""
    file = folder / ".hydra" / "overrides.yaml"
    try:
        read_metrics(folder)
    except (OSError, DamagedError):
        return False
    if not file.is_file():
        return False
    wanted = [override for override in given if not sets(override, ("hydra",))]
    return OmegaConf.to_container(OmegaConf.load(file)) == wanted


def sets(override: str, keys: Sequence[str]) -> bool:
    """Whether an override sets one of these keys or something below it."""
    key = override.lstrip("+~").split("=")[0]
    return any(key == one or key.startswith((f"{one}.", f"{one}/", f"{one}@")) for one in keys)
