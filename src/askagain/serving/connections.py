"""Connections that cannot hold up the server: slow, endless and many ones are ended.

uvicorn waits without end for the rest of a request, and for a client that does not read. Here a request must have come
within some seconds, its headers within some bytes, and of too many connections the one that has waited longest for a
request ends.
"""

import asyncio
import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

MOST_HEADER_BYTES = 1 << 16


class GuardedProtocol(HttpToolsProtocol):
    """uvicorn's protocol with limits; see `guarded`."""

    seconds: float
    most_connections: int
    waiting: dict["GuardedProtocol", None]
    on_ended: Callable[[str], None]

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None
        self._header_bytes, self._in_body = 0, False
        self._running: RequestResponseCycle | None = None  # of several that a client asks for, the one at work
        self._await_request()
        if len(self.connections) > self.most_connections:
            longest = next(iter(self.waiting))
            longest._end("too_many")

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing() or self.parser is None:
            return
        if not self._in_body:
            self._header_bytes += len(data)
        super().data_received(data)
        if not self._in_body and self._header_bytes > MOST_HEADER_BYTES:
            self.transport.write(b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\n\r\n")
            self._end("headers_too_large", gently=True)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._header_bytes, self._in_body = 0, False
        if self._timer is None:
            self._await_request()

    def on_headers_complete(self) -> None:
        self._in_body = True
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._header_bytes, self._in_body = 0, False
        self._got_request()
        super().on_message_complete()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._write_timer = self.loop.call_later(self.seconds, self._end, "not_reading")

    def resume_writing(self) -> None:
        if self._write_timer is not None:
            self._write_timer.cancel()
        super().resume_writing()

    def timeout_keep_alive_handler(self) -> None:
        if self.transport.get_write_buffer_size():
            self._end("not_reading")
        else:
            super().timeout_keep_alive_handler()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def connection_lost(self, exc: Exception | None) -> None:
        self._got_request()
        if self._write_timer is not None:
            self._write_timer.cancel()
        super().connection_lost(exc)

    def _await_request(self) -> None:
        self.waiting[self] = None
        self._timer = self.loop.call_later(self.seconds, self._end, "slow_request")

    def _got_request(self) -> None:
        self.waiting.pop(self, None)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _end(self, reason: str, gently: bool = False) -> None:
        self._got_request()
        self.on_ended(reason)
        for cycle in [self._running, self.cycle, *(cycle for cycle, _ in self.pipeline)]:
            if cycle is not None:  # so that nothing more is written
                cycle.disconnected = True
                cycle.message_event.set()
        if gently:
            self.transport.close()
            return
        connected = self.transport.get_extra_info("socket")
        with suppress(OSError):  # else the system would keep what the client does not read
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()


def guarded(seconds: float, most_connections: int, on_ended: Callable[[str], None]) -> type[GuardedProtocol]:
    """A protocol class for uvicorn.

    Args:
        seconds: in which a request must have come whole, and in which a client must read on.
        most_connections: that are open at once.
        on_ended: is told why a connection was ended: `slow_request`, `not_reading`, `headers_too_large`, `too_many`.
    """
    limits: dict[str, Any] = {
        "seconds": seconds,
        "most_connections": most_connections,
        "waiting": {},
        "on_ended": staticmethod(on_ended),
    }
    return type("Guarded", (GuardedProtocol,), limits)
