"""Trainings that a leaderboard or learning curves start, each a process of train.py with a run folder of its own."""

import json
import logging
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree
from typing import Any

from hydra import compose
from omegaconf import OmegaConf

from askagain.apps.api import quoted
from askagain.apps.build import build_corpus
from askagain.apps.inputs import file_states
from askagain.apps.sweep import METRICS, read_metrics
from askagain.corpus.cache import Cache
from askagain.errors import InputError, RunError
from askagain.files.json_files import write_json

TRAIN = "train.py"
INPUTS = "inputs.json"  # in a run folder: what its files were when it was trained
MISTAKE = 2  # its exit status for a mistake of the user's

log = logging.getLogger(__name__)


@dataclass
class Trainings:
    """Runs the trainings of a board, each in its own folder below `folder`, and counts them.

    What only this machine has is left out: `start=auto` becomes `start=random`.

    `shared`: overrides of all trainings. `root`: the folder of train.py. `total`: the number of trainings.
    """

    folder: Path
    shared: list[str]
    root: Path
    total: int
    begun: int = 0

    def run(self, name: str, overrides: Sequence[str], seed: int) -> Path:
        """Trains with these overrides, unless an earlier board has with the same files; returns the run folder.

        Raises InputError where the training finds a mistake, and RunError where it fails otherwise.
        """
        self.begun += 1
        folder = self.folder / name.replace("/", "_") / f"seed-{seed}"
        given = [*self.shared, *overrides, f"seed={seed}"]
        if compose("train", given, return_hydra_config=True).hydra.runtime.choices.get("start") == "auto":
            given.append("start=random")
        inputs = _inputs(given)
        which = f"training {self.begun} of {self.total}: {name}, seed {seed}"
        if _done(folder, given, inputs):
            log.info("%s: already in %s, not repeated", which, folder)
            return folder
        log.info("%s", which)
        # Results of another training must not be taken for this one's if it is killed.
        (folder / METRICS).unlink(missing_ok=True)
        rmtree(folder / "encoder", ignore_errors=True)
        write_json(folder / INPUTS, inputs)
        command = [sys.executable, str(self.root / TRAIN), *given, f"hydra.run.dir={quoted(folder)}"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as training:
            try:
                shown = _output(training)
            except BaseException:  # Ctrl-C or a signal ends the board: not without its training
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


def _inputs(given: Sequence[str]) -> dict[str, Any]:
    """The digests of the data files of a training with these overrides, and the states of other files."""
    cfg = compose("train", list(given))
    cache = Cache(Path(str(cfg.paths.cache_dir)))
    files = [file for file in vars(build_corpus(cfg).files).values() if file is not None]
    settings: Any = OmegaConf.to_container(cfg, resolve=False)
    return {"data": {str(file): cache.content_digest(file) for file in files}, "files": file_states(settings)}


def _done(folder: Path, given: Sequence[str], inputs: Mapping[str, Any]) -> bool:
    """Whether a training with these overrides and files has finished in this folder."""
    try:
        read_metrics(folder)
        overrides = OmegaConf.to_container(OmegaConf.load(folder / ".hydra" / "overrides.yaml"))
        known_inputs = json.loads((folder / INPUTS).read_bytes())
    except FileNotFoundError:
        return False
    except Exception as error:  # YAML that was damaged can raise nearly anything
        log.warning("%s: trained again, since a file of it is damaged (%s)", folder, " ".join(str(error).split()))
        return False
    if overrides != [override for override in given if not sets(override, ("hydra",))]:
        return False
    if known_inputs != inputs:
        log.info("%s: trained again, since files that it was made from have changed", folder)
    return bool(known_inputs == inputs)


def sets(override: str, keys: Sequence[str]) -> bool:
    """Whether an override sets one of these keys or something below it."""
    key = override.lstrip("+~").split("=")[0]
    return any(key == one or key.startswith((f"{one}.", f"{one}/", f"{one}@")) for one in keys)
