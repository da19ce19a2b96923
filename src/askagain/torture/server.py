"""Faults of a server: kills while questions are added, and connections that want to hold it up."""

import asyncio
import random
import socket
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from askagain.benchmarks.serving import Load, LoadResult, put_under_load, server_process

SHORTEST, LONGEST = 0.2, 3.0  # seconds from the first question to the kill
HOLDING = 20  # connections of each kind of abuse
REQUEST = b"POST /search HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
# What a connection sends first, and again and again.
ABUSES = (
    (b"", b""),
    (b"GET /search?q=", b"a"),
    (REQUEST + b"X-Slow: ", b"a"),
    (REQUEST + b"Content-Length: 500\r\n\r\n", b"{"),
    (REQUEST + b"X-Endless: ", b"a" * 8192),
    (REQUEST + b"Transfer-Encoding: chunked\r\n\r\n", b"2000\r\n" + b"b" * 8192 + b"\r\n"),
    (b"\x16\x03\x01 no HTTP\r\n\r\n", b"\x00" * 64),
    (b"GET /openapi.json HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" * 50, b""),
)


def killed(
    index: Path, token_file: Path, questions: Sequence[str], kills: int, added: float, seed: int = 0
) -> LoadResult:
    """Kills the server at random moments while questions are added, starts it again, and goes on."""
    random_, total = random.Random(seed), LoadResult()
    for number in range(kills):
        with server_process([index], token_file) as server:
            seconds = random_.uniform(SHORTEST, LONGEST)
            killer = threading.Timer(seconds, server.process.kill)
            killer.start()
            load = Load(0, LONGEST + 1, questions, added, seed=seed + number)
            result = put_under_load(server.port, load)
            killer.join()
        total.acknowledged |= result.acknowledged
        total.write_latencies += result.write_latencies
        for what, count in result.failures.items():
            total.failures[what] = total.failures.get(what, 0) + count
    return total


def abused(port: int, load: Load) -> tuple[LoadResult, int]:
    """Puts a server under load while others try to hold it up; also gives how many connections those opened."""
    stop, opened = threading.Event(), [0]

    def hold_up() -> None:
        asyncio.run(_hold_up(port, stop, opened))

    thread = threading.Thread(target=hold_up)
    thread.start()
    try:
        time.sleep(0.5)
        return put_under_load(port, load), opened[0]
    finally:
        stop.set()
        thread.join()


async def _hold_up(port: int, stop: threading.Event, opened: list[int]) -> None:
    jobs = [_abuse(port, first, more, stop, opened) for first, more in ABUSES for _ in range(HOLDING)]
    await asyncio.gather(*jobs)


async def _abuse(port: int, first: bytes, more: bytes, stop: threading.Event, opened: list[int]) -> None:
    """Opens a connection, never reads, and opens another one when it is ended."""
    loop = asyncio.get_running_loop()
    while not stop.is_set():
        client = socket.socket()
        client.setblocking(False)
        with client, suppress(OSError, TimeoutError):
            await loop.sock_connect(client, ("127.0.0.1", port))
            opened[0] += 1
            async with asyncio.timeout(5):
                await loop.sock_sendall(client, first)
            while not stop.is_set():
                async with asyncio.timeout(5):
                    await loop.sock_sendall(client, more)
                await asyncio.sleep(0.1)
                if not more:
                    with suppress(BlockingIOError):
                        if client.recv(1, socket.MSG_PEEK) == b"":
                            break
        await asyncio.sleep(0.1)
