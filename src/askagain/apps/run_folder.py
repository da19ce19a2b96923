"""The folder of a run or a sweep: no other run writes to it meanwhile, and it holds no figures of an earlier one."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf

from askagain.apps.sweep import METRICS
from askagain.errors import InputError

if TYPE_CHECKING:
    from filelock import FileLock

LOCK = ".lock"
REPORT = ("report.html", "report.json")  # what a training shows and keeps of its figures
SECONDS = "%S}"  # at the end of the time in a folder's name
POLL_INTERVAL = 0.1  # seconds
KEEPS_TRAININGS = (
    "evaluate",
    "leaderboard",
    "learning_curves",
)  # commands that must not replace the figures of a training

# Of this process, whose later runs may write there again. The system ends them with the process, however it ends.
_locks: "dict[Path, FileLock]" = {}


def take_folder(cfg: DictConfig, mode: str) -> None:
    """Makes the folder that `hydra.run.dir` or `hydra.sweep.dir` names, and locks it until this process ends.

    A folder with the time in its name is new: if another run has it, the next second is waited for. `mode`: `run` or
    `sweep`. Scripts have no folder. Raises InputError where another run writes to it, where it is no folder, and where
    an evaluation would replace the figures of a training.
    """
    if cfg.hydra.output_subdir is None:
        return
    from filelock import FileLock, Timeout  # with asyncio, which --help does without

    section, key = cfg.hydra[mode], f"hydra.{mode}.dir"
    typed: Any = OmegaConf.to_container(section, resolve=False)
    is_new = SECONDS in str(typed["dir"])
    folder = Path(str(section.dir))
    if not section.dir:
        raise InputError(f"{key}=: must not be empty")
    if cfg.hydra.job.config_name in KEEPS_TRAININGS and (folder / "encoder" / "encoder.json").is_file():
        raise InputError(f"{key}={folder}: the folder of a training, whose figures would be lost; name another one")
    while True:
        try:
            folder.mkdir(parents=True, exist_ok=not is_new)
            break
        except (FileExistsError, NotADirectoryError) as error:
            if not folder.is_dir():
                raise InputError(f"{key}={folder}: a file is in its place; name another folder") from error
        time.sleep(POLL_INTERVAL)
        OmegaConf.clear_cache(cfg)  # of the time
        folder = Path(str(section.dir))
    path = folder.resolve() / LOCK
    if path in _locks:
        return
    try:
        lock = FileLock(path, timeout=0)
        lock.acquire()
    except Timeout as error:
        raise InputError(f"{key}={folder}: another run writes to this folder; name another one, or wait") from error
    _locks[path] = lock


def forget_metrics(cfg: DictConfig) -> None:
    """Removes the figures of an earlier run from the folder of a run that starts."""
    if cfg.hydra.output_subdir is not None:
        for name in (METRICS, *REPORT):
            (Path(str(cfg.hydra.runtime.output_dir)) / name).unlink(missing_ok=True)
