"""The processes that train one model together: how they are started or found, given their runs, watched and ended.

Rank 0 is the process that the user started: it alone knows Hydra, writes the run folder and talks. The others get the
config of each run from it, resolved to its last value, through a key-value store that all of them reach; so they cannot
but train what rank 0 trains, in a sweep too. On one machine rank 0 starts them; torchrun and srun start all by
themselves.
"""

import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import IO, Any, NamedTuple

from omegaconf import DictConfig, OmegaConf

from askagain.errors import InputError, RankError

log = logging.getLogger(__name__)

STORE = "ASKAGAIN_STORE"  # HOST:PORT of the store, in the environment of a process that rank 0 has started
PARENT = "ASKAGAIN_PARENT"  # the process id of rank 0, likewise
PLACE = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")  # torchrun's names
NO_MORE = "no more runs"
INTERACTIVE = ("bash", "interactive")  # names of SLURM jobs in which somebody types
STRATEGIES = ("auto", "ddp", "ddp_spawn", "ddp_fork", "ddp_notebook")
FOREVER = timedelta(days=365)
INTERRUPT = getattr(signal, "SIGRTMIN", signal.SIGUSR2)  # SIGINT may be ignored, as in the background of a shell
LOOKED_AT = 0.2  # seconds between looks at other processes
GRACE = 10.0  # seconds in which a process that is told to end does so
TORN = 30.0  # seconds after which a run that has lost a rank is ended by force


class Place(NamedTuple):
    """This process among all that train together, and among those of its machine."""

    rank: int
    size: int
    local_rank: int
    local_size: int


def place() -> Place | None:
    """Where torchrun, srun or another rank 0 has put this process; None where it is alone."""
    found = os.environ
    if STORE in found or "TORCHELASTIC_RUN_ID" in found:
        there = Place(*(int(found[name]) for name in PLACE))
    elif "SLURM_STEP_NUM_TASKS" in found and found.get("SLURM_JOB_NAME") not in INTERACTIVE:
        size, nodes = int(found["SLURM_STEP_NUM_TASKS"]), int(found.get("SLURM_STEP_NUM_NODES", "1"))
        there = Place(int(found["SLURM_PROCID"]), size, int(found["SLURM_LOCALID"]), size // nodes)
    else:
        return None
    return there if there.size > 1 else None


class _Failure(NamedTuple):
    """What went wrong in another process, in a line, and where, unless it was a mistake of the user's."""

    line: str
    traceback: str = ""


class Team:
    """All processes that train together, as one of them sees it. Runs are numbered; every rank goes through all."""

    def __init__(self, place: Place, store: Any) -> None:
        self.place = place
        self._store = store
        self._runs = 0
        self._workers: dict[int, tuple[subprocess.Popen, IO[str]]] = {}
        self._torn: _Failure | None = None  # why the run at hand was interrupted

    @classmethod
    def found(cls, place: Place) -> "Team":
        """The team that torchrun, srun or another rank 0 has put this process into."""
        from torch.distributed import TCPStore, rendezvous

        if STORE in os.environ:
            host, port = os.environ[STORE].rsplit(":", 1)
            return cls(place, TCPStore(host, int(port), is_master=False))
        if "TORCHELASTIC_RUN_ID" not in os.environ:
            from pytorch_lightning.plugins.environments import SLURMEnvironment

            nodes = os.environ.get("SLURM_STEP_NODELIST", "127.0.0.1")
            os.environ.setdefault("MASTER_ADDR", SLURMEnvironment.resolve_root_node_address(nodes))
            # A port that all tasks of a job come to, and others hardly.
            os.environ.setdefault("MASTER_PORT", str(15_000 + int(os.environ["SLURM_JOB_ID"]) % 10_000))
        store, _, _ = next(rendezvous("env://", rank=place.rank, world_size=place.size))
        return cls(place, store)

    @classmethod
    def started(cls, size: int, threads: int) -> "Team":
        """A team of this process and `size - 1` that it starts on this machine, with some processor threads each."""
        from torch.distributed import TCPStore

        store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
        team = cls(Place(0, size, 0, size), store)
        for rank in range(1, size):
            output = tempfile.TemporaryFile("w+", errors="replace")  # noqa: SIM115  # looked at where it fails, closed by `end`
            environment = {
                **os.environ,
                **dict(zip(PLACE, map(str, (rank, size, rank, size)), strict=True)),
                STORE: f"127.0.0.1:{store.port}",
                PARENT: str(os.getpid()),
                "OMP_NUM_THREADS": str(threads),
                "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),  # what rank 0 can import
            }
            # A session of its own: Ctrl-C reaches rank 0 only, which ends the others in order.
            process = subprocess.Popen(
                [sys.executable, "-m", "askagain.apps.worker"],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            team._workers[rank] = (process, output)
        return team

    def run(self, cfg: DictConfig, do: Callable[[], Any], device_type: str) -> Any:
        """Rank 0: gives a run to all others, and does its own part of it.

        Raises RankError where another rank has ended or failed.
        """
        number = self._next()
        self._torn = None
        self._store.set(f"run/{number}", json.dumps(OmegaConf.to_container(cfg, resolve=True)))
        finished = threading.Event()
        threading.Thread(target=self._end_when_torn, args=(number, finished), daemon=True).start()
        try:
            with _interruptible(), self._joined(number, device_type):
                return do()
        except (KeyboardInterrupt, SystemExit) as interrupted:
            if self._torn is None:
                raise
            raise self._ended_by(self._torn) from interrupted
        except Exception as error:
            if not is_lost_connection(error):
                raise
            failure = self._failure(number, within=GRACE) or _Failure(
                f"another rank has ended, or the connection to it; its own output says more ({error})"
            )
            raise self._ended_by(failure) from error
        finally:
            finished.set()

    @staticmethod
    def _ended_by(failure: _Failure) -> RankError:
        if failure.traceback:
            log.error(failure.traceback)
        return RankError(failure.line)

    def runs(self) -> Iterator[DictConfig]:
        """Other ranks: the runs that rank 0 gives, until there are no more."""
        while True:
            key = f"run/{self._runs}"
            self._store.wait([key], FOREVER)
            given = self._store.get(key).decode()
            if given == NO_MORE:
                self._store.set(f"gone/{self.place.rank}", "")
                return
            yield OmegaConf.create(json.loads(given))

    def take_part(self, do: Callable[[], Any], device_type: str) -> None:
        """Other ranks: does a part of the run; what goes wrong is told to rank 0, and raised."""
        number = self._next()
        try:
            with self._joined(number, device_type):
                do()
        except Exception as error:
            if not is_lost_connection(error):  # that is only what follows where another rank has failed
                failure = _Failure(repr(error), traceback.format_exc())
                if isinstance(error, InputError):
                    failure = _Failure(str(error))
                self._store.set(f"failed/{number}/{self.place.rank}", json.dumps(failure))
            raise

    def end(self) -> None:
        """Rank 0: tells the others that there are no more runs, and ends those it has started that stay."""
        others = [f"gone/{rank}" for rank in range(1, self.place.size)]
        self._store.set(f"run/{self._runs}", NO_MORE)
        deadline = time.monotonic() + GRACE
        while time.monotonic() < deadline and not self._store.check(others) and not self._lost():
            time.sleep(LOOKED_AT / 10)
        for process, output in self._workers.values():
            if process.poll() is None and not self._store.check(others):
                process.kill()
            with output:
                try:
                    process.wait(GRACE)
                except subprocess.TimeoutExpired:  # it has done its part, and hangs while it ends
                    process.kill()
                    process.wait()

    def _next(self) -> int:
        self._runs += 1
        return self._runs - 1

    @contextmanager
    def _joined(self, number: int, device_type: str) -> Iterator[None]:
        """A process group of all ranks for a run; of its own, so that a run that fails leaves nothing to the next."""
        from torch import distributed

        from askagain.distributed.strategy import SLOWEST, backend

        self._store.set(f"ready/{number}/{self.place.rank}", "")
        if self.place.rank == 0:
            self._wait_for([f"ready/{number}/{rank}" for rank in range(self.place.size)])
        distributed.init_process_group(
            backend(device_type),
            store=distributed.PrefixStore(f"group/{number}", self._store),
            rank=self.place.rank,
            world_size=self.place.size,
            timeout=timedelta(seconds=SLOWEST),
        )
        try:
            yield
        finally:
            distributed.destroy_process_group()

    def _wait_for(self, keys: list[str]) -> None:
        """Waits until all keys are set; raises RankError where a process ends instead."""
        while not self._store.check(keys):
            lost = self._lost()
            if lost is not None:
                raise RankError(lost)
            time.sleep(LOOKED_AT / 10)

    def _failure(self, number: int, within: float) -> "_Failure | None":
        """What is known, at the latest after some seconds, of a rank that failed; None where all are well."""
        deadline = time.monotonic() + within
        while True:
            lost = self._lost()
            if lost is not None:
                return _Failure(lost)
            for rank in range(1, self.place.size):
                key = f"failed/{number}/{rank}"
                if self._store.check([key]):
                    line, found = json.loads(self._store.get(key))
                    return _Failure(f"rank {rank} of {self.place.size} failed: {line}", found)
            if time.monotonic() > deadline:
                return None
            time.sleep(LOOKED_AT)

    def _lost(self) -> str | None:
        """What is known of a process that was started here and has ended with an error."""
        for rank, (process, output) in self._workers.items():
            if process.poll():
                status = process.returncode
                how = f"was ended by {_signal_name(-status)}" if status < 0 else f"ended with status {status}"
                return f"rank {rank} of {self.place.size} {how}{_last_line(output)}"
        return None

    def _end_when_torn(self, number: int, finished: threading.Event) -> None:
        """Interrupts the run where it does not notice by itself that a rank is lost, as Ctrl-C would; and ends this
        process where that does not help, since it waits in a library.
        """
        while not finished.wait(LOOKED_AT):
            failure = self._failure(number, within=0)
            if failure is None or finished.wait(TORN):
                continue
            self._torn = failure
            if signal.getsignal(INTERRUPT) is signal.default_int_handler:
                os.kill(os.getpid(), INTERRUPT)
            if not finished.wait(GRACE):
                print(f"error: {failure.line}", file=sys.stderr, flush=True)
                os._exit(1)


@contextmanager
def _interruptible() -> Iterator[None]:
    """A block that `INTERRUPT` ends as Ctrl-C would, where this is the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(INTERRUPT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(INTERRUPT, before)


def _signal_name(number: int) -> str:
    """Its name, where it has one: real-time signals have none."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def is_lost_connection(error: Exception) -> bool:
    """Whether an error says no more than that another rank is not there."""
    marks = ("gloo", "NCCL", "Connection", "connection", "Broken pipe")
    return isinstance(error, RuntimeError) and any(mark in str(error) for mark in marks)


def _last_line(output: IO[str]) -> str:
    output.seek(0)
    lines = output.read().split("\n")
    said = [line for line in lines if line.strip()]
    return f": {said[-1].strip()}" if said else ""


_found: Team | None = None


def found_team(place: Place) -> Team:
    """The team that torchrun or srun has put this process into, the same at every call."""
    global _found
    if _found is None:
        _found = Team.found(place)
    return _found


def end_found_team() -> None:
    """Rank 0 of such a team: tells the others that all runs are done, also where there was none."""
    there = place()
    if there is not None and there.rank == 0 and STORE not in os.environ:
        found_team(there).end()


def device_type(cfg: DictConfig) -> str:
    """`cuda`, `cpu`, ...: what `trainer.accelerator` comes to here."""
    import torch

    wanted = str(cfg.trainer.accelerator)
    if wanted in ("gpu", "cuda", "auto"):
        return "cuda" if torch.cuda.is_available() else "cpu"
    return wanted


def device_count(cfg: DictConfig) -> int:
    """How many devices of this machine `trainer.devices` asks for; raises InputError where it cannot be understood."""
    from pytorch_lightning.accelerators import CPUAccelerator, CUDAAccelerator
    from pytorch_lightning.utilities.exceptions import MisconfigurationException

    devices = OmegaConf.to_container(cfg).get("trainer", {}).get("devices")  # type: ignore[union-attr]
    try:
        if device_type(cfg) == "cuda":
            return len(CUDAAccelerator.parse_devices(-1 if devices == "auto" else devices) or [0])
        if device_type(cfg) == "cpu":
            return 1 if devices in ("auto", -1, "-1") else CPUAccelerator.parse_devices(devices)
    except (MisconfigurationException, TypeError, ValueError) as error:
        raise InputError(f"trainer.devices={devices}: must be a number of devices from 1, or auto ({error})") from error
    return 1


def world_size(cfg: DictConfig) -> int:
    """How many devices train together."""
    there = place()
    return device_count(cfg) if there is None else there.size


@contextmanager
def team(cfg: DictConfig) -> Iterator[Team | None]:
    """The processes for a run: those that are there, those that are started for it, or None for this one alone.

    Raises InputError where they cannot be had.
    """
    if cfg.trainer.strategy not in STRATEGIES:
        known = ", ".join(STRATEGIES)
        raise InputError(f"trainer.strategy={cfg.trainer.strategy}: every device has the whole table; one of {known}")
    there = place()
    if there is not None:
        yield found_team(there)
        return
    if cfg.trainer.num_nodes != 1:
        raise InputError(
            f"trainer.num_nodes={cfg.trainer.num_nodes}: start a process a device on each node, with torchrun or srun; "
            "see docs/scaling.md"
        )
    count = device_count(cfg)
    if count == 1:
        yield None
        return
    import torch

    before = torch.get_num_threads()
    threads = max(1, before // count)
    torch.set_num_threads(threads)
    made = Team.started(count, threads)
    try:
        yield made
    finally:
        made.end()
        torch.set_num_threads(before)
