"""Load on a server: people who type, a writer who adds questions, and what came of all of it."""

import asyncio
import os
import random
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from askagain.benchmarks.http_client import Client
from askagain.search.index import Index

TOKEN = "the-token-of-the-load-test"
SECONDS_A_KEY = 0.2  # that a person takes: five keys a second
PAUSE = 1.0  # seconds in which a person reads the answers to a whole question
WRITERS = 16  # connections that add questions
RESIDENT = re.compile(rb"^process_resident_memory_bytes (\S+)$", re.MULTILINE)


@dataclass
class Process:
    """A server as a process of its own. `seconds`: from its start until it answered."""

    process: "subprocess.Popen[str]"
    port: int
    seconds: float


@contextmanager
def server_process(words: Sequence[str | Path], token_file: Path | None, seconds: float = 120) -> Iterator[Process]:
    """Runs `askagain serve WORDS` on a free port, and ends it; RuntimeError where it does not answer."""
    command = [sys.executable, "-m", "askagain.cli.main", "serve", *map(str, words), "--port", "0"]
    if token_file is not None:
        token_file.write_text(TOKEN, encoding="ascii")
        token_file.chmod(0o600)
        command += ["--token-file", str(token_file)]
    start = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            for line in process.stdout:
                answers = re.search(r":(\d+)/ answers", line)
                if answers is not None:
                    yield Process(process, int(answers[1]), time.perf_counter() - start)
                    return
            raise RuntimeError("the server ended before it answered")
        finally:
            process.terminate()
            try:
                process.wait(seconds)
            except subprocess.TimeoutExpired:
                process.kill()


@dataclass
class Load:
    """What a load consists of.

    `people`: who type `questions`. `seconds`: that it lasts. `added`: questions a second that a writer adds. `keeps`:
    how many of these stay, while earlier ones are removed again (None: all stay).
    """

    people: int
    seconds: float
    questions: Sequence[str]
    added: float = 0.0
    keeps: int | None = None
    seed: int = 0


@dataclass
class LoadResult:
    """What came of a load.

    `latencies`: of each answer in seconds. `acknowledged`: ids that the server said it had added, and not removed
    since. `failures`: what else happened than an answer, by what it was. `memory`: of the server in bytes, at each
    second since the start at which it was read.
    """

    latencies: list[float] = field(default_factory=list)
    write_latencies: list[float] = field(default_factory=list)
    acknowledged: set[str] = field(default_factory=set)
    removed: int = 0
    failures: dict[str, int] = field(default_factory=dict)
    memory: list[tuple[float, int]] = field(default_factory=list)

    def failed(self, what: str) -> None:
        self.failures[what] = self.failures.get(what, 0) + 1

    def percentile(self, percent: float, writes: bool = False) -> float:
        """The latency within which so many percent of the answers came, in ms."""
        latencies = self.write_latencies if writes else self.latencies
        return float(np.percentile(latencies, percent)) * 1e3 if latencies else float("nan")


def put_under_load(port: int, load: Load) -> LoadResult:
    """Lets people type into a server, while a writer adds questions."""
    return asyncio.run(_everyone(port, load))


def lost(folder: Path, result: LoadResult) -> set[str]:
    """Acknowledged ids that are not in the index."""
    return result.acknowledged - {question.id for question in Index(folder).questions()}


async def _everyone(port: int, load: Load) -> LoadResult:
    result, end = LoadResult(), time.monotonic() + load.seconds
    people = [_person(port, load, random.Random(load.seed + place), end, result) for place in range(load.people)]
    jobs = [*people, _memory(port, end, result)]
    if load.added:
        jobs += [_writer(port, load, place, end, result) for place in range(WRITERS)]
    await asyncio.gather(*jobs)
    return result


async def _person(port: int, load: Load, random_: random.Random, end: float, result: LoadResult) -> None:
    """Types questions letter by letter; each letter asks."""
    client = Client(port)
    await asyncio.sleep(random_.random() * SECONDS_A_KEY)
    while time.monotonic() < end:
        question = random_.choice(load.questions)
        for length in range(1, len(question) + 1):
            if time.monotonic() > end:
                break
            began = time.monotonic()
            try:
                answer = await client("POST", "/search", {"question": question[:length], "words": True})
                if answer.status == 200:
                    result.latencies.append(answer.seconds)
                else:
                    result.failed(f"search: status {answer.status}")
            except (OSError, EOFError, TimeoutError) as error:
                result.failed(f"search: {type(error).__name__}")
            await asyncio.sleep(max(0.0, began + SECONDS_A_KEY * (0.5 + random_.random()) - time.monotonic()))
        await asyncio.sleep(PAUSE)
    await client.close()


async def _writer(port: int, load: Load, place: int, end: float, result: LoadResult) -> None:
    """Adds questions one at a time, as many a second as its share, and removes old ones."""
    client, number = Client(port, TOKEN), 0
    kept: list[str] = []
    keeps = None if load.keeps is None else max(1, load.keeps // WRITERS)
    due = time.monotonic() + place / load.added
    while due < end:
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        due += WRITERS / load.added
        own_id = f"load-{os.getpid()}-{load.seed}-{place}-{number}"
        text = f"{load.questions[(place + WRITERS * number) % len(load.questions)]} {number}"
        number += 1
        try:
            answer = await client("POST", "/questions", {"questions": [{"id": own_id, "text": text}]})
            if answer.status != 201:
                result.failed(f"add: status {answer.status}")
                continue
            result.write_latencies.append(answer.seconds)
            result.acknowledged.add(own_id)
            kept.append(own_id)
            if keeps is not None and len(kept) > keeps:
                oldest = kept.pop(0)
                answer = await client("DELETE", f"/questions/{oldest}")
                if answer.status == 200:
                    result.acknowledged.discard(oldest)
                    result.removed += 1
                else:
                    result.failed(f"remove: status {answer.status}")
        except (OSError, EOFError, TimeoutError) as error:
            result.failed(f"add: {type(error).__name__}")
            if isinstance(error, ConnectionError):
                return
    await client.close()


async def _memory(port: int, end: float, result: LoadResult) -> None:
    """Reads how much memory the server has, every second."""
    client, start = Client(port), time.monotonic()
    while time.monotonic() < end:
        try:
            match = RESIDENT.search((await client("GET", "/metrics")).body)
            if match is not None:
                result.memory.append((time.monotonic() - start, int(float(match[1]))))
        except (OSError, EOFError, TimeoutError) as error:
            result.failed(f"metrics: {type(error).__name__}")
        await asyncio.sleep(1.0)
    await client.close()
