"""The trials: each does one thing to a run, an artefact or a disk, starts again, and compares what comes of it."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from askagain.apps.sweep import METRICS, read_metrics
from askagain.distributed.launch import descendants
from askagain.files.writing import TEMPORARY
from askagain.synthetic.sample import write_sample
from askagain.torture.damage import encoded, read_damaged
from askagain.torture.worker import prepared

CORPUS = {"seed": 3, "groups": 300, "rows": 40, "negatives": 60}
SETTINGS = (
    *("trainer.max_epochs=4", "model.dim=16", "data.batch_size=64", "trainer.accelerator=cpu", "logger=csv"),
    *("checkpoint_every_n_steps=3", "trainer.precision=32-true"),
)
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
SECONDS = 300  # that a command may take
PROCESSES = 8  # that start together
COMPARED = ("val/", "train/loss", "train/best")  # names of figures that a killed run must have as well
DISK_BYTES = (1 << 19, 1 << 22)  # of a disk that fills up
LARGE_DISK = "size=1g"


@dataclass
class Bench:
    """What trials start from: a corpus, and a run on it that nothing disturbed.

    `root`: the folder of train.py. `folder`: where everything is written.
    """

    root: Path
    folder: Path
    corpus: Path = field(init=False)
    cache: Path = field(init=False)
    run: Path = field(init=False)
    expected: dict[str, str] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)  # of undisturbed processes

    def __post_init__(self) -> None:
        self.corpus, self.cache, self.run = (self.folder / name for name in ("corpus", "cache", "run"))
        write_sample(self.corpus, **CORPUS)
        for job in ("prepare", "teach"):
            self.expected[job], self.seconds[job] = self._timed(self.worker(job, self.folder / job))
        began = time.monotonic()
        ended = self.finished(self.train(self.run, self.cache))
        self.seconds["train"] = time.monotonic() - began
        if ended.returncode:
            raise RuntimeError(ended.stderr)
        self.expected["train"] = figures(self.run)
        self.expected["cache"] = prepared(self.corpus, self.folder / "prepare")
        self.expected["encoder"] = encoded(self.run / "encoder")
        self.expected["checkpoint"] = encoded(self.run / "checkpoints" / "last.ckpt")
        self.expected["metrics"] = json.dumps(read_metrics(self.run))

    def worker(self, job: str, cache: Path) -> list[str]:
        """The command of a short process, see `askagain.torture.worker`."""
        return [sys.executable, "-m", "askagain.torture.worker", job, str(self.corpus), str(cache)]

    def train(self, run: Path, cache: Path, *words: str) -> list[str]:
        """The command that trains, or goes on."""
        given = (*SETTINGS, "data=tsv", f"data.dir={self.corpus}", f"hydra.run.dir={run}", f"paths.cache_dir={cache}")
        return [sys.executable, str(self.root / "train.py"), *given, "ckpt_path=last", *words]

    def finished(self, command: Sequence[str], **settings: str) -> subprocess.CompletedProcess[str]:
        """Runs a command to its end."""
        environment = os.environ | settings
        return subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, env=environment, cwd=self.root)

    def killed(self, command: Sequence[str], after: float, number: int, whom: Callable[[int], int] = int) -> bool:
        """Starts a command and sends it, or the process that `whom` chooses, a signal after some seconds.

        Returns whether the signal was sent: the command may have ended before.
        """
        sent = False
        with subprocess.Popen(
            command,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=self.root,
            preexec_fn=_listen_to_signals,
            start_new_session=True,
        ) as process:
            try:
                process.wait(after)
            except subprocess.TimeoutExpired:
                with suppress(ProcessLookupError):  # it was faster
                    os.kill(whom(process.pid), number)
                    sent = True
            process.wait(SECONDS)
        return sent

    def _timed(self, command: Sequence[str]) -> tuple[str, float]:
        began = time.monotonic()
        ended = self.finished(command)
        if ended.returncode:
            raise RuntimeError(ended.stderr)
        return ended.stdout, time.monotonic() - began


@dataclass(frozen=True)
class Outcome:
    """Of a trial: what was done, and whether it was survived; `lost` says how it was not.

    `was_tried`: false where the damage changed nothing, or a process had ended before it could be killed.
    """

    done: str
    lost: str | None = None
    was_tried: bool = True


class NoSmallDiskError(Exception):
    """This process may not mount a disk."""


def damaged_file(bench: Bench, scratch: Path, rng: random.Random) -> Outcome:
    """Damages a file of a cache, an encoder, a checkpoint or of figures, and reads it again."""
    kind = rng.choice(["cache", "encoder", "checkpoint", "metrics"])
    original = {
        "cache": bench.folder / "prepare",
        "encoder": bench.run / "encoder",
        "checkpoint": bench.run / "checkpoints" / "last.ckpt",
        "metrics": bench.run / METRICS,
    }[kind]
    readers = {
        "cache": lambda copy: prepared(bench.corpus, copy),
        "encoder": encoded,
        "checkpoint": encoded,
        "metrics": lambda copy: json.dumps(read_metrics(copy.parent)),
    }
    if kind == "metrics":
        scratch.mkdir(parents=True)
        shutil.copy(bench.run / "checksums.json", scratch)
    copy = scratch / original.name
    done, came = read_damaged(original, copy, readers[kind], bench.expected[kind], rng)
    ok = ("same",) if kind == "cache" else ("same", "refused")
    return Outcome(f"{kind}: {done or 'nothing'}", None if came in ok else came, done is not None)


def killed_worker(bench: Bench, scratch: Path, rng: random.Random) -> Outcome:
    """Kills a process that fills the cache, or that teaches, at random moments; then lets another one finish."""
    job = rng.choice(["prepare", "teach"])
    done, sent = [], False
    for _ in range(rng.randint(1, 2)):
        number, after = rng.choice(SIGNALS), rng.uniform(0.2, 1.0) * bench.seconds[job]
        sent |= bench.killed(bench.worker(job, scratch), after, number)
        done.append(f"{signal.Signals(number).name} after {after:.2f} s")
    ended = bench.finished(bench.worker(job, scratch))
    return Outcome(f"{job}: {', '.join(done)}", _difference(ended, bench.expected[job]) or leftovers(scratch), sent)


def killed_training(bench: Bench, scratch: Path, rng: random.Random) -> Outcome:
    """Kills a training, or one of two ranks, at a random moment; then lets it go on to its end."""
    ranks = rng.random() < 0.25
    words = ("trainer.devices=2", "data.batch_size=32") if ranks else ()  # the same pairs in a step of both
    number = signal.SIGKILL if ranks else rng.choice(SIGNALS)
    after = rng.uniform(0.3, 1.0) * bench.seconds["train"] * (1.5 if ranks else 1)
    command = bench.train(scratch / "run", scratch / "cache", *words)
    whom: Callable[[int], int] = (lambda pid: rng.choice(descendants(pid) or [pid])) if ranks else int
    sent = bench.killed(command, after, number, whom)
    ended = bench.finished(command)
    done = f"{'a rank' if ranks else 'training'}: {signal.Signals(number).name} after {after:.1f} s"
    if ended.returncode:
        return Outcome(done, f"status {ended.returncode}: {ended.stderr[-300:]}", sent)
    same = ranks or figures(scratch / "run") == bench.expected["train"]  # two ranks round in another way
    return Outcome(done, (None if same else "other figures") or leftovers(scratch), sent)


def full_disk(bench: Bench, scratch: Path, rng: random.Random) -> Outcome:
    """Trains with the run or the cache on a disk that fills up, then on one that was freed."""
    which = rng.choice(["run", "cache"])
    size = rng.randint(*DISK_BYTES)
    places = {"run": scratch / "run", "cache": scratch / "cache"}
    done = f"{which}: on a disk of {size:,} bytes"
    with small_disk(places[which], size) as enlarge:
        command = bench.train(places["run"], places["cache"])
        ended = bench.finished(command)
        if ended.returncode and ("Traceback" in ended.stderr or not ended.stderr.splitlines()[-1].startswith("error:")):
            return Outcome(done, f"status {ended.returncode}: {ended.stderr[-300:]}")
        enlarge()
        ended = bench.finished(command)
        if ended.returncode:
            return Outcome(done, f"freed, status {ended.returncode}: {ended.stderr[-300:]}")
        same = figures(places["run"]) == bench.expected["train"]
        return Outcome(done, (None if same else "other figures") or leftovers(scratch))


def started_together(bench: Bench, scratch: Path, rng: random.Random) -> Outcome:
    """Starts several processes on the same corpus and an empty cache within a second."""
    job = rng.choice(["prepare", "teach"])
    processes = []
    for _ in range(PROCESSES):
        processes.append(
            subprocess.Popen(bench.worker(job, scratch), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        )
        time.sleep(rng.uniform(0, 1 / PROCESSES))
    made = {process.communicate(timeout=SECONDS)[0] for process in processes}
    lost = None if made == {bench.expected[job]} else f"{len(made)} different results"
    return Outcome(f"{job}: {PROCESSES} processes", lost or leftovers(scratch))


def odd_place(bench: Bench, scratch: Path, rng: random.Random) -> Outcome:
    """Prepares in folders with odd names, without HOME, or in another language."""
    name = rng.choice(["with blanks", "a=b", "a,b", "вопросы", "🙂", "quote'd", "[x]", "%41", "x" * 200])
    settings = rng.choice([{}, {"HOME": "/nonexistent"}, {"LC_ALL": "C", "PYTHONUTF8": "0"}, {"TZ": "nowhere"}])
    corpus = scratch / name
    shutil.copytree(bench.corpus, corpus)
    command = bench.worker("prepare", scratch / f"cache {name}"[:200])
    command[4] = str(corpus)
    ended = bench.finished(command, **settings)
    return Outcome(f"{name}, {settings}", _difference(ended, bench.expected["prepare"]))


def figures(run: Path) -> str:
    """The figures of a run that do not depend on time, and its weights, as text to compare."""
    metrics = {name: value for name, value in read_metrics(run).items() if name.startswith(COMPARED)}
    for name in [name for name in metrics if name.endswith("seconds")]:
        del metrics[name]
    return json.dumps(metrics, sort_keys=True) + encoded(run)


def leftovers(folder: Path) -> str | None:
    """The first temporary file that stayed in a folder, if any."""
    for path in folder.rglob(".*"):
        if TEMPORARY.fullmatch(path.name) or path.name.endswith(".unfinished"):
            return f"left behind: {path.name}"
    return None


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[Callable[[], None]]:
    """A block in which a folder is a disk of so many bytes, in memory; gives a function that enlarges it.

    Raises NoSmallDiskError where this process may not mount one.
    """
    folder.mkdir(parents=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(command, capture_output=True)
    except OSError as error:
        raise NoSmallDiskError(str(error)) from error
    if mounted.returncode:
        raise NoSmallDiskError(mounted.stderr.decode().strip())
    try:
        yield lambda: _run("mount", "-o", f"remount,{LARGE_DISK}", str(folder))
    finally:
        _run("umount", "-l", str(folder))


def _run(*command: str) -> None:
    subprocess.run(command, check=True)


def _listen_to_signals() -> None:
    """In a process to be killed: signals that a shell's background ignores end it again."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def _difference(ended: subprocess.CompletedProcess[str], expected: str) -> str | None:
    if ended.returncode:
        return f"status {ended.returncode}: {ended.stderr[-300:]}"
    return None if ended.stdout == expected else "another result"
