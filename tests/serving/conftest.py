"""Servers on free ports of 127.0.0.1, which end with the test that started them."""

import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import requests

from askagain.models.bag_encoder import BagEncoder
from askagain.search.index_writer import IndexWriter
from askagain.serving.access import Access
from askagain.serving.app import build_app
from askagain.serving.limits import Limits
from askagain.serving.metrics import ServerMetrics
from askagain.serving.run import bind, make_server
from askagain.serving.service import ServedIndex
from tests.search.conftest import small_encoder, some_questions

TOKEN = "a-token-for-the-tests"
AUTHORIZED = {"authorization": f"Bearer {TOKEN}"}


class Running(NamedTuple):
    """A server that answers. `call` sends a request and returns its response."""

    port: int
    indexes: list[ServedIndex]

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def call(self, method: str, path: str, **rest: Any) -> requests.Response:
        return requests.request(method, self.address + path, timeout=20, **rest)

    def post(self, path: str, message: Any, headers: Mapping[str, str] = AUTHORIZED) -> requests.Response:
        return self.call("POST", path, json=message, headers=headers)


@pytest.fixture
def encoder() -> BagEncoder:
    return small_encoder()


@pytest.fixture
def index(encoder: BagEncoder, tmp_path: Path) -> Path:
    """An index of 60 questions."""
    IndexWriter.create(tmp_path / "index", encoder, some_questions(60))
    return tmp_path / "index"


@pytest.fixture
def serve() -> Iterator[Callable[..., Running]]:
    """Serves indexes in a thread of this process."""
    running = []

    def start(
        *folders: Path,
        access: Access | None = None,
        limits: Limits | None = None,
        is_writable: bool = True,
        **rest: Any,
    ) -> Running:
        limits = limits or Limits()
        metrics, ready = ServerMetrics(), threading.Event()
        indexes = [ServedIndex(folder.name, folder, is_writable) for folder in folders]
        app = build_app(indexes, access or Access(TOKEN, False, {"127.0.0.1"}), limits, metrics, **rest)
        listening = bind("127.0.0.1", 0)
        server = make_server(app, limits, metrics, ready.set)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        running.append((server, thread, listening))
        assert ready.wait(20)
        return Running(listening.getsockname()[1], indexes)

    yield start
    for server, _, _ in running:
        server.should_exit = True
    for _, thread, listening in running:
        thread.join(20)
        listening.close()
        assert not thread.is_alive()
