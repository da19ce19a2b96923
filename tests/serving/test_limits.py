"""Clients that are slow, endless, malformed or many do not keep others from their answers."""

import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import replace

import pytest

from askagain.search.index import Index
from askagain.search.snapshot import Snapshot
from askagain.serving.limits import Limits
from tests.serving.conftest import AUTHORIZED

QUICK = replace(Limits(), seconds=1.0)


def connection(server):
    return socket.create_connection(("127.0.0.1", server.port), timeout=20)


def answers_at_once(server):
    start = time.monotonic()
    assert server.post("/search", {"question": "quit vim"}).status_code == 200
    return time.monotonic() - start < 5


def said_until_the_end(client):
    """What the server sends until it ends the connection."""
    said = b""
    try:
        while part := client.recv(65536):
            said += part
    except ConnectionError:
        pass
    return said


@pytest.fixture
def slow_search(monkeypatch):
    """Searches last until the event is set; the second event tells that one has begun."""
    go_on, begun, search = threading.Event(), threading.Event(), Snapshot.search

    def slow(*arguments, **rest):
        begun.set()
        assert go_on.wait(20)
        return search(*arguments, **rest)

    monkeypatch.setattr(Snapshot, "search", slow)
    yield go_on, begun
    go_on.set()


def test_what_is_too_much_is_told_to_come_back_and_the_rest_is_answered(serve, index, slow_search):
    go_on, begun = slow_search
    server = serve(index, limits=replace(Limits(), searches=3, searches_at_once=1))
    with ThreadPoolExecutor(12) as clients:
        first = clients.submit(server.post, "/search", {"question": "vim"})
        assert begun.wait(20)
        others = [clients.submit(server.post, "/search", {"question": "vim"}) for _ in range(10)]
        wait(others, timeout=1.0)
        refused = [one for one in others if one.done() and one.result().status_code == 429]
        assert len(refused) == 7
        for one in refused:
            assert one.result().headers["retry-after"] == "1" and "try again" in one.result().json()["error"]["message"]
        assert server.call("GET", "/health").status_code == 200
        go_on.set()
        assert [one.result().status_code for one in [first, *others] if one not in refused] == [200] * 4


def test_an_answer_that_takes_too_long_is_given_up(serve, index, slow_search):
    go_on, _ = slow_search
    server = serve(index, limits=replace(QUICK, seconds=0.3))
    late = server.post("/search", {"question": "vim"})
    assert late.status_code == 503 and late.headers["retry-after"] and "0.3 s" in late.json()["error"]["message"]
    go_on.set()
    assert answers_at_once(server)


def test_slow_requests_are_ended_and_others_are_answered_meanwhile(serve, index):
    server = serve(index, limits=QUICK)
    beginnings = (
        b"",
        b"GET /search?q=vim HT",
        b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ",
        b"POST /search HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 30\r\n\r\n{",
    )
    slow = [connection(server) for _ in range(40)]
    for place, client in enumerate(slow):
        client.sendall(beginnings[place % len(beginnings)])
    start = time.monotonic()
    assert answers_at_once(server)
    for client in slow:
        said_until_the_end(client)
    assert time.monotonic() - start < 10
    assert 'askagain_connections_ended_total{reason="slow_request"} 40.0' in server.call("GET", "/metrics").text


def test_a_byte_now_and_then_does_not_make_a_request_last(serve, index):
    server = serve(index, limits=QUICK)
    with connection(server) as client:
        client.sendall(b"GET /search?q=")
        start = time.monotonic()
        with pytest.raises(ConnectionError):
            while time.monotonic() - start < 15:
                client.sendall(b"a")
                time.sleep(0.1)
        assert 0.9 < time.monotonic() - start < 10


def test_endless_headers_and_bodies_are_refused(serve, index):
    server = serve(index, limits=replace(Limits(), body_bytes=100_000))
    begin = b"POST /search HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    for first, more, said in (
        (begin + b"X-Long: ", b"a" * 4096, b"431"),
        (begin, b"X-Another: a\r\n" * 100, b"431"),
        (b"GET /", b"a" * 4096, b"431"),
        (begin + b"Transfer-Encoding: chunked\r\n\r\n", b"1000\r\n" + b"b" * 4096 + b"\r\n", b"413"),
    ):
        with connection(server) as client:
            client.sendall(first)
            sent = 0
            try:
                while sent < 50_000_000:
                    client.sendall(more)
                    sent += len(more)
            except ConnectionError:
                pass
            assert sent < 50_000_000, "the server reads without end"
            heard = said_until_the_end(client)
            assert not heard or said in heard.split(b"\r\n")[0]
    assert answers_at_once(server)


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # a TLS hello
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST /search HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
        b"POST /search HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n bad: folded\r\n\r\n",
        b"\x00" * 100,
    ],
)
def test_what_is_no_http_is_a_bad_request(serve, index, sent):
    server = serve(index, limits=QUICK)
    with connection(server) as client:
        client.sendall(sent)
        said = said_until_the_end(client)
        assert not said or said.split(b"\r\n")[0].split(b" ")[1][:1] == b"4"
    assert answers_at_once(server)


def test_a_client_that_does_not_read_is_ended(serve, index):
    server = serve(index, limits=QUICK)
    asked = b"GET /openapi.json HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" * 200
    with connection(server) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        start = time.monotonic()
        with pytest.raises(ConnectionError):
            while time.monotonic() - start < 15:
                client.sendall(asked)
    assert answers_at_once(server)
    assert 'askagain_connections_ended_total{reason="' in server.call("GET", "/metrics").text


def test_many_connections_end_the_oldest_ones_and_not_those_that_ask(serve, index):
    server = serve(index, limits=replace(Limits(), connections=10))
    idle = [connection(server) for _ in range(60)]
    assert answers_at_once(server)
    ended = 0
    for client in idle:
        client.settimeout(0.2)
        try:
            ended += client.recv(1) == b""
        except ConnectionError:
            ended += 1
        except TimeoutError:
            pass
    assert ended >= 50
    for client in idle:
        client.close()


def test_idle_clients_that_wait_for_the_next_request_are_kept(serve, index):
    server = serve(index, limits=replace(Limits(), seconds=0.4))
    with connection(server) as client:
        for _ in range(3):
            client.sendall(b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            assert client.recv(65536).startswith(b"HTTP/1.1 200")
            time.sleep(0.6)


def test_long_work_does_not_keep_searches_waiting(serve, index, monkeypatch):
    from askagain.serving.service import ServedIndex

    go_on, begun = threading.Event(), threading.Event()
    embeddings = ServedIndex.embeddings

    def slow(*arguments):
        begun.set()
        assert go_on.wait(20)
        return embeddings(*arguments)

    monkeypatch.setattr(ServedIndex, "embeddings", slow)
    server = serve(index)
    with ThreadPoolExecutor(1) as client:
        embedded = client.submit(server.post, "/v1/embeddings", {"input": "vim"})
        assert begun.wait(20) and answers_at_once(server)
        assert server.post("/questions", {"questions": [{"text": "vim"}]}).status_code == 201
        go_on.set()
        assert embedded.result().status_code == 200


def test_a_full_disk_is_told_and_nothing_is_half_written(serve, index, monkeypatch):
    import os

    server = serve(index)
    assert server.post("/questions", {"questions": [{"id": "before", "text": "vim"}]}).status_code == 201

    def full(descriptor, content, place):
        if len(content) > 20:
            return write(descriptor, content[:20], place)  # the last bytes that fit
        raise OSError(28, "No space left on device")

    write = os.pwrite
    monkeypatch.setattr(os, "pwrite", full)
    answer = server.post("/questions", {"questions": [{"id": "lost", "text": "vim"}]})
    assert answer.status_code == 507 and "disk is full" in answer.json()["error"]["message"]
    monkeypatch.setattr(os, "pwrite", write)
    assert server.post("/questions", {"questions": [{"id": "after", "text": "vim"}]}).status_code == 201
    ids = {question.id for question in Index(index).questions()}
    assert {"before", "after"} <= ids and "lost" not in ids
    assert server.call("DELETE", "/questions/before", headers=AUTHORIZED).status_code == 200


def test_a_folder_that_the_server_may_not_write_to_is_told(serve, index, monkeypatch):
    import os

    server = serve(index)

    def not_allowed(*_args, **_rest):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "pwrite", not_allowed)
    answer = server.post("/questions", {"questions": [{"text": "vim"}]})
    assert answer.status_code == 503 and "may not write" in answer.json()["error"]["message"]
