"""A server of files on this machine that does what servers do when they fail."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


class Files(ThreadingHTTPServer):
    """Serves `content` by path.

    `break_after`: bytes after which the connection breaks off, once for each number. `answers`: statuses given first,
    by path. `asked`: path and Range of each request.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content: dict[str, bytes] = {}
        self.break_after: list[int] = []
        self.answers: list[int] = []
        self.etag: str | None = '"one"'
        self.ranges = True
        self.asked: list[tuple[str, str | None]] = []

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}{path}"


class Handler(BaseHTTPRequestHandler):
    server: Files

    def do_GET(self) -> None:
        server, wanted = self.server, self.headers.get("Range")
        server.asked.append((self.path, wanted))
        if server.answers:
            self._answer(server.answers.pop(0), b"", {"Retry-After": "0"})
            return
        if self.path not in server.content:
            self._answer(404, b"")
            return
        content, headers, status = server.content[self.path], {}, 200
        if server.etag is not None:
            headers["ETag"] = server.etag
        if wanted and server.ranges and self.headers.get("If-Range") == server.etag:
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
            if start >= len(content):
                self._answer(416, b"")
                return
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
            content, status = content[start:], 206
        self._answer(status, content, headers)

    def _answer(self, status: int, content: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if content and self.server.break_after:
            self.wfile.write(content[: self.server.break_after.pop(0)])
            self.connection.close()
            return
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Files]:
    files = Files()
    thread = threading.Thread(target=files.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield files
    files.shutdown()
    thread.join()
    files.server_close()
