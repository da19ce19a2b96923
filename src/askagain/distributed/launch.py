"""Starts one process for each device with torchelastic, or joins those that torchrun or srun started.

Rank 0 composes the config and writes the run folder. The other ranks receive its config, so they cannot train other
values than rank 0 does.
"""

import functools
import logging
import multiprocessing
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from askagain.errors import InputError, RankError

if TYPE_CHECKING:
    from pytorch_lightning.plugins.environments import ClusterEnvironment
    from torch.distributed import Store
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

log = logging.getLogger(__name__)

CONFIG = "config"  # key of the store under which rank 0 gives the config to the other ranks
NO_RUN = ""
PREPARATION_TIMEOUT = timedelta(days=1)  # for rank 0 to compose the config and prepare the corpus
COLLECTIVE_TIMEOUT = timedelta(minutes=30)
GRACE = 10.0  # seconds in which a launcher ends the ranks that have lost another one
POLL_INTERVAL = 0.1  # seconds
INPUT_ERROR = f"{InputError.__name__}: "  # how torchelastic reports one
STOPPING_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# They print in many lines what RankError says in one.
NOISY_LOGGERS = ("torch.distributed.elastic", "torch.multiprocessing", "torchelastic-events-null")

_start_method = "spawn"  # of the processes of `run_ranks`


def cluster_environment() -> "ClusterEnvironment | None":
    """Rank, world size and address of this process among several ranks; None where it is alone."""
    if "TORCHELASTIC_RUN_ID" not in os.environ and "SLURM_STEP_NUM_TASKS" not in os.environ:
        return None  # without importing Lightning, which takes seconds
    from pytorch_lightning.plugins.environments import SLURMEnvironment, TorchElasticEnvironment

    environment: ClusterEnvironment
    if TorchElasticEnvironment.detect():
        environment = TorchElasticEnvironment()
    elif SLURMEnvironment.detect():
        # Lightning insists on this variable, which srun sets only where the option of that name was given.
        os.environ.setdefault("SLURM_NTASKS_PER_NODE", str(int(os.environ["SLURM_NTASKS"]) // node_count()))
        environment = SLURMEnvironment(auto_requeue=False)
    else:
        return None
    return environment if environment.world_size() > 1 else None


def node_count() -> int:
    """How many nodes torchrun or srun has started ranks on."""
    return int(os.environ.get("GROUP_WORLD_SIZE") or os.environ.get("SLURM_STEP_NUM_NODES") or 1)


@functools.cache
def _store() -> "Store":
    """The key-value store that all ranks reach."""
    from torch.distributed import rendezvous

    environment = cluster_environment()
    assert environment is not None, "this process is the only one"
    os.environ["MASTER_ADDR"], os.environ["MASTER_PORT"] = environment.main_address, str(environment.main_port)
    store, _, _ = next(rendezvous("env://", rank=environment.global_rank(), world_size=environment.world_size()))
    return store


def send_config(config: str) -> None:
    """Gives a config to the other ranks, which wait for it in `receive_config`."""
    _store().set(CONFIG, config)


def send_no_run() -> None:
    """Ends the ranks that wait for a config, where none was sent."""
    _store().compare_set(CONFIG, NO_RUN, NO_RUN)


def receive_config() -> str | None:
    """The config that rank 0 sends; None where it ends without a run."""
    _store().wait([CONFIG], PREPARATION_TIMEOUT)
    return _store().get(CONFIG).decode() or None


@contextmanager
def process_group(device_type: str) -> Iterator[None]:
    """A block in which torch's process group joins all ranks.

    A rank that has merely lost its connection to another one waits to be ended, so that the launcher first sees, and
    names, the rank that failed. Raises RankError if no launcher ends it.
    """
    from torch import distributed

    from askagain.distributed.strategy import backend

    environment = cluster_environment()
    assert environment is not None, "this process is the only one"
    store = distributed.PrefixStore("process_group", _store())
    rank, size = environment.global_rank(), environment.world_size()
    try:
        distributed.init_process_group(
            backend(device_type), store=store, rank=rank, world_size=size, timeout=COLLECTIVE_TIMEOUT
        )
        yield
    except RuntimeError as error:
        if not is_lost_connection(error):
            raise
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        time.sleep(GRACE)
        raise RankError(
            f"another rank has ended, or the connection to it; its own output says more ({error})"
        ) from error
    finally:
        if distributed.is_initialized():
            distributed.destroy_process_group()


def is_lost_connection(error: Exception) -> bool:
    """True if the error only reports a lost peer."""
    marks = ("gloo", "NCCL", "Connection", "connection", "Broken pipe")
    return isinstance(error, RuntimeError) and any(mark in str(error) for mark in marks)


def fork_ranks_from(module: str | None) -> None:
    """Makes the ranks of `run_ranks` forks of a process that begins to import a module now; None: new processes.

    They are forks on Linux only. Not for ranks with GPUs: CUDA does not work in a fork of a process that has asked for
    one.
    """
    global _start_method
    _start_method = "spawn" if module is None or sys.platform != "linux" else "forkserver"
    if module is not None and _start_method == "forkserver":
        from multiprocessing import forkserver  # which other commands do without

        multiprocessing.set_forkserver_preload([module])
        forkserver.ensure_running()


def run_ranks(count: int, function: Callable[..., Any], *args: Any) -> Any:
    """Calls a function, with arguments that are pickled, in `count` new processes, and returns what rank 0 returns.

    What ranks above 0 print is kept from the console. All ranks end with this process, however it ends. Raises
    InputError where a rank has raised it, RankError where one has failed or was ended, and SystemExit with status
    128 + the signal's number where a signal stopped this process.
    """
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException, Std
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    for name in NOISY_LOGGERS:
        logger = logging.getLogger(name)
        logger.propagate = False
        logger.handlers = [logging.NullHandler()]
    if multiprocessing.get_start_method(allow_none=True) == "loky":
        multiprocessing.set_start_method(None, force=True)  # joblib's own, which new processes do not know
    with tempfile.TemporaryDirectory() as folder, _stop_on_signals() as received:
        config = LaunchConfig(
            min_nodes=1,
            max_nodes=1,
            nproc_per_node=count,
            run_id=str(os.getpid()),
            rdzv_backend="c10d",
            rdzv_endpoint="127.0.0.1:0",
            local_addr="127.0.0.1",
            max_restarts=0,
            monitor_interval=POLL_INTERVAL,
            start_method=_start_method,
            logs_specs=DefaultLogsSpecs(folder, redirects=dict.fromkeys(range(1, count), Std.ALL)),
            signals_to_handle="",  # `_stop_on_signals` handles them
        )
        try:
            return elastic_launch(config, _run_rank)(function, args)[0]
        except ChildFailedError as error:
            raise _as_rank_error(error, count, Path(folder)) from error
        except SignalException as stopped:
            raise SystemExit(128 + received[0]) from stopped


def end_on_sigterm() -> None:
    """Makes SIGTERM raise SystemExit, so that a process that has started others can end them first."""

    def stop(number: int, frame: object) -> None:
        raise SystemExit(128 + number)

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, stop)


def end_descendants() -> None:
    """Ends the processes that this one has started, and theirs, such as the workers of a sweep; waits for none."""
    for pid in descendants(os.getpid()):
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGTERM)


def descendants(pid: int) -> list[int]:
    """The processes that a process has started, and theirs; none where the system does not list them in /proc."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError, ValueError):  # it has ended
            parent = int(stat.read_text(errors="replace").rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(stat.parent.name))
    found = list(children.get(pid, []))
    for child in found:  # grows meanwhile
        found += children.get(child, [])
    return found


def _run_rank(function: Callable[..., Any], args: tuple[Any, ...]) -> Any:
    """The whole work of a rank's process."""
    os.setsid()  # Ctrl-C reaches the launching process only, which ends the ranks in order
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in the background of a shell
    multiprocessing.set_start_method(None, force=True)  # the default, as in other commands; here it was set to another
    threading.Thread(target=_end_with_parent, daemon=True).start()
    return function(*args)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


@contextmanager
def _stop_on_signals() -> Iterator[list[int]]:
    """A block that a signal ends by torchelastic's SignalException; the list then holds the signal's number.

    Ranks are always ended by SIGINT: on SIGTERM, Lightning starts a collective from its signal handler. Signals that
    are ignored stay so. Outside of the main thread nothing is changed.
    """
    from torch.distributed.elastic.multiprocessing import SignalException

    received: list[int] = []

    def stop(number: int, frame: object) -> None:
        received.append(number)
        raise SignalException("stopped", signal.SIGINT)

    handlers = {}
    if threading.current_thread() is threading.main_thread():
        for number in STOPPING_SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:
                handlers[number] = signal.signal(number, stop)
    try:
        yield received
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def _as_rank_error(error: "ChildFailedError", count: int, folder: Path) -> InputError | RankError:
    """The error of the rank that failed first, in a line; its traceback is logged unless it was the user's mistake."""
    rank, failure = error.get_first_failure()
    name = f"rank {rank} of {count}"
    if isinstance(failure.message, dict):
        message = failure.message["message"]
        if message.startswith(INPUT_ERROR):
            return InputError(message.removeprefix(INPUT_ERROR))
        log.error(failure.message["extraInfo"]["py_callstack"])
        return RankError(f"{name} failed: {message}")
    end = f"ended with status {failure.exitcode}"
    if failure.exitcode < 0:
        number = -failure.exitcode
        has_name = number in set(signal.Signals)  # real-time signals have none
        end = f"was ended by {failure.signal_name() if has_name else f'signal {number}'}"
    return RankError(f"{name} {end}{_last_line(folder, rank)}")


def _last_line(folder: Path, rank: int) -> str:
    """What the rank printed last, if it was redirected to a file of torchelastic's folder."""
    for path in folder.rglob(f"{rank}/std*.log"):
        lines = path.read_text(errors="replace").strip().splitlines()
        if lines:
            return f": {lines[-1].strip()}"
    return ""
