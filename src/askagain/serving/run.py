"""Starts the server, and ends it in good order."""

import logging
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp

from askagain.errors import InputError
from askagain.serving.connections import guarded
from askagain.serving.limits import Limits
from askagain.serving.metrics import ServerMetrics

GRACE = 10  # seconds for requests that have begun when the server is to end
IDLE = 75  # seconds that a connection is kept for the next request


def bind(host: str, port: int) -> socket.socket:
    """A socket that listens; raises InputError where that cannot be."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host.strip("[]"), port))
    except OSError as error:
        bound.close()
        reason = error.strerror or str(error)
        raise InputError(f"{host}:{port} cannot be listened on ({reason}); choose another with --port") from error
    bound.set_inheritable(False)
    return bound


def make_server(app: ASGIApp, limits: Limits, metrics: ServerMetrics, ready: Callable[[], None]) -> uvicorn.Server:
    """A server whose `run(sockets=[...])` answers until SIGTERM or Ctrl-C, and then finishes what has begun.

    `ready` is called when it answers.
    """
    protocol = guarded(limits.seconds, limits.connections, lambda reason: metrics.ended.labels(reason).inc())
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
    config = uvicorn.Config(
        app,
        http=protocol,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=IDLE,
        timeout_graceful_shutdown=GRACE,
    )
    return _Server(config, ready)


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._ready()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Ends on a signal, and does not raise it again: an end that was asked for is a success."""
        with super().capture_signals():
            yield
            self._captured_signals.clear()
