"""Runs a Hydra entry point so that a mistake in the user's input is answered by one line and exit status 2."""

import functools
import gc
import logging
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from askagain.apps.checks import check_before_run, check_before_sweep, check_settings
from askagain.apps.command_line import MULTIRUN, check_local_settings, explained, ordered, read_env_file
from askagain.apps.config_groups import list_groups_quickly
from askagain.apps.lightning import import_lightning
from askagain.apps.run_folder import forget_metrics, take_folder
from askagain.apps.run_mode import find_mode_quickly
from askagain.apps.sweep import NoteSweep, report_sweep
from askagain.distributed.launch import (
    cluster_environment,
    end_descendants,
    end_on_sigterm,
    fork_ranks_from,
    send_no_run,
)
from askagain.errors import InputError, RankError, RunError, shortage
from askagain.native.idle_threads import let_idle_threads_sleep

FULL_ERROR = "HYDRA_FULL_ERROR"
TRACEBACK_WANTED = os.environ.get(FULL_ERROR) == "1"
RANK_IMPORTS = "askagain.apps.rank_imports"
USAGE_ERROR = 2  # exit status
MEMORY_HINT = "lower data.batch_size or model.dim, or close other programs"
DISK_HINT = "free some space, or set paths.runs_dir and paths.cache_dir to another disk"
USER_MISTAKES = (InputError, HydraException, OmegaConfBaseException)

log = logging.getLogger(__name__)

Result = TypeVar("Result")


def import_for_ranks(cfg: DictConfig) -> None:
    """Begins to import what ranks need, if the config asks for several of them that this process starts on the CPU."""
    trainer = cfg.get("trainer") or {}  # none where nothing is trained
    devices = str(trainer.get("devices"))
    several = devices.isdecimal() and int(devices) > 1
    starts_them = several and trainer.get("accelerator") == "cpu" and cluster_environment() is None
    fork_ranks_from(RANK_IMPORTS if starts_them else None)


@contextmanager
def heavy_imports(for_training: bool = False) -> Iterator[None]:
    """A block that imports PyTorch and, `for_training`, Lightning.

    The garbage collector is off meanwhile and ignores the imported objects later, which saves a sixth of the time.
    """
    is_first = gc.isenabled() and not gc.get_freeze_count()  # the garbage of a later run of a sweep must not stay
    if is_first:
        gc.disable()
    try:
        if for_training:
            import_lightning()
        yield
        if is_first:
            gc.freeze()
    finally:
        if is_first:
            gc.enable()


class CheckSettings(Callback):
    """Answers a mistake in a setting before anything is written, and then takes the folder to write to.

    Each run of a sweep is checked when it starts.
    """

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Called by Hydra before it makes the run's folder; an exception would be no more than a warning to it."""
        _answered(check_before_run, config)
        _answered(take_folder, config, "run")

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Called by Hydra before the first run of a sweep, likewise."""
        _answered(check_before_sweep, config)
        _answered(take_folder, config, "sweep")

    def on_job_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Called by Hydra in each run, once its config is written."""
        forget_metrics(config)


def run(main: Callable[[], object]) -> None:
    """Calls a function decorated by `hydra.main`; a mistake on the command line is answered as in `one_line_errors`.

    After a sweep its runs are compared. The exit status is that of the first run that failed; under Optuna it is 0 as
    long as one trial succeeded. Where torchrun or srun has started several ranks, rank 0 does all this for a single
    run, and the others wait for its config.
    """
    let_idle_threads_sleep()
    _open_closed_streams()
    _answered(_read_surroundings)
    environment = cluster_environment()
    if environment is not None and environment.global_rank() > 0:
        from askagain.apps.devices import follow_first_rank

        sys.exit(follow_first_rank(environment.global_rank()))
    # Hydra then raises what it finds wrong with the overrides, instead of printing it over several lines.
    os.environ[FULL_ERROR] = "1"
    _answered(_compared, main, environment is not None)


def _open_closed_streams() -> None:
    """Lets a process that was started without standard output or error, as by `>&-`, print to nowhere."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115  as long as the process


def _read_surroundings() -> None:
    """Reads what a command depends on beside its words; raises InputError for what cannot be read."""
    try:
        Path.cwd()
    except FileNotFoundError as error:
        raise InputError("the working folder was deleted; type `cd` and a folder that is there") from error
    read_env_file()
    check_local_settings()


def _compared(main: Callable[[], object], has_followers: bool) -> None:
    is_sweep = not MULTIRUN.isdisjoint(sys.argv)
    try:
        if has_followers and is_sweep:
            raise InputError(
                "-m: torchrun and srun start one run; for a sweep type `python train.py -m`, with hydra/launcher="
                "submitit_slurm, submitit_local, ray or joblib for runs side by side"
            )
        sys.argv[1:] = ordered(sys.argv[1:])
        list_groups_quickly(sys.argv[1:])
        find_mode_quickly(sys.argv[1:])
        if is_sweep:
            end_on_sigterm()
        main()
    except ValueError as error:
        runs = NoteSweep.runs()
        if isinstance(error, InputError) or not runs or any(run.value is not None for run in runs):
            raise
        raise RunError(  # Optuna looks for the best run in vain
            f"no run of the sweep succeeded, so there is no best one; see {NoteSweep.folder}", 1
        ) from error
    except (KeyboardInterrupt, SystemExit):
        if is_sweep:  # its launcher's workers
            end_descendants()
        raise
    finally:
        if has_followers:
            send_no_run()
        report_sweep()


def one_line_errors(function: Callable[..., Result]) -> Callable[..., Result]:
    """Decorates what Hydra calls: a user's mistake prints one line on standard error and exits with status 2.

    In a sweep it is raised to Hydra instead, as RunError, and Hydra goes on with the other runs. With
    HYDRA_FULL_ERROR=1 in the environment the traceback is shown as well.
    """

    @functools.wraps(function)
    def wrapped(*args: Any) -> Result:
        asked_for = os.environ.pop(FULL_ERROR, None)  # `run` set it for Hydra, not for processes started from here
        if TRACEBACK_WANTED:
            os.environ[FULL_ERROR] = "1"
        try:
            in_sweep = HydraConfig.initialized() and HydraConfig.get().mode == RunMode.MULTIRUN
            # What `wrapped` reads of this module goes with it to processes that launchers start, as it is here.
            return _as_run(function, args, TRACEBACK_WANTED) if in_sweep else _answered(function, *args)
        finally:
            if asked_for is not None:
                os.environ[FULL_ERROR] = asked_for

    return wrapped


def _as_run(function: Callable[..., Result], args: tuple[Any, ...], traceback_wanted: bool) -> Result:
    """Calls the function for a run of a sweep; what goes wrong is logged and raised as RunError."""
    try:
        check_settings(str(HydraConfig.get().job.config_name), *args)
        return function(*args)
    except BrokenPipeError:
        raise
    except Exception as error:
        line = one_line(error)
        message = f"{type(error).__name__}: {_joined(str(error))}" if line is None else line
        log.error("failed: %s", message, exc_info=traceback_wanted or line is None)
        raise RunError(message, 1 if line is None else getattr(error, "status", USAGE_ERROR)) from error


def _answered(function: Callable[..., Result], *args: Any) -> Result:
    try:
        return function(*args)
    except (BrokenPipeError, SystemExit) as error:  # whoever read the output, such as head, has seen enough
        if isinstance(error, SystemExit) and not isinstance(error.__context__, BrokenPipeError):  # rich raises it so
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)  # as of a program that SIGPIPE ended
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)
    except Exception as error:
        if TRACEBACK_WANTED:
            traceback.print_exc()
            sys.exit(1)  # Hydra takes other exceptions of a callback for a warning
        line = one_line(error)
        if line is None:
            raise
        print(f"error: {line}", file=sys.stderr)
        sys.exit(getattr(error, "status", USAGE_ERROR))


def one_line(error: BaseException) -> str | None:
    """The message for the user, on one line, or None where the traceback is wanted."""
    if isinstance(error, RankError | RunError):
        return _joined(str(error))
    for link in _chain(error):
        message = str(link) if isinstance(link, InputError) else explained(link)
        if message is not None:
            return _joined(message)
    for link in _chain(error):
        lacking = shortage(link, MEMORY_HINT, DISK_HINT)
        if lacking is not None:
            return _joined(lacking)
    if isinstance(error, OSError) and not isinstance(error, HydraException):
        return f"{error.filename}: {error.strerror}" if error.filename else None
    if not isinstance(error, USER_MISTAKES):
        return None
    if error.__cause__ is not None and not isinstance(error.__cause__, USER_MISTAKES):
        return None  # A defect of ours that Hydra wrapped while it built an object: the traceback is wanted.
    # The first line says it; what follows is for those who write configs.
    causes = [str(link).strip().splitlines()[0] for link in _chain(error) if str(link).strip()]
    return "; ".join(dict.fromkeys(causes))


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__


def _joined(message: str) -> str:
    return " ".join(message.split())
