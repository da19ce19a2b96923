"""A small HTTP client for measuring: one connection that stays open, and little work beside the server's."""

import asyncio
import json
import time
from typing import Any, NamedTuple


class Answer(NamedTuple):
    """`seconds`: from sending to the last byte."""

    status: int
    body: bytes
    seconds: float


class Client:
    """A connection to a server at 127.0.0.1, which is opened again where it ended; one request at a time.

    Raises OSError, asyncio.IncompleteReadError or TimeoutError where there is no answer.
    """

    def __init__(self, port: int, token: str | None = None, seconds: float = 30.0) -> None:
        self._port, self._seconds = port, seconds
        self._headers = f"Host: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
        if token is not None:
            self._headers += f"Authorization: Bearer {token}\r\n"
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def __call__(self, method: str, path: str, message: Any = None) -> Answer:
        body = b"" if message is None else json.dumps(message).encode()
        head = f"{method} {path} HTTP/1.1\r\n{self._headers}Content-Length: {len(body)}\r\n\r\n"
        start = time.perf_counter()
        try:
            async with asyncio.timeout(self._seconds):
                if self._streams is None:
                    self._streams = await asyncio.open_connection("127.0.0.1", self._port)
                reader, writer = self._streams
                writer.write(head.encode() + body)
                status, content = await _read(reader)
        except BaseException:
            await self.close()
            raise
        return Answer(status, content, time.perf_counter() - start)

    async def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


async def _read(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    head = await reader.readuntil(b"\r\n\r\n")
    length = 0
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    return int(head.split(b" ", 2)[1]), await reader.readexactly(length)
