"""Downloads from a server that fails in all the ways that servers do."""

import hashlib
import socket

import pytest

from askagain.errors import InputError
from askagain.fetch.catalogue import RemoteFile
from askagain.fetch.download import download

CONTENT = bytes(range(256)) * 9000


@pytest.fixture
def fetched(server, tmp_path):
    """Downloads /data, and returns what is then in the folder."""
    server.content["/data"] = CONTENT

    def get(**known):
        download(RemoteFile(server.url("/data"), "data.bin", **known), tmp_path / "data.bin", pause=0.01)
        return {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    return get


def test_a_file_comes_whole_and_only_once(fetched, server):
    sha256 = hashlib.sha256(CONTENT).hexdigest()
    assert fetched(bytes=len(CONTENT), sha256=sha256) == {"data.bin": CONTENT}
    assert fetched(sha256=sha256) == {"data.bin": CONTENT}
    assert server.asked == [("/data", None)]


def test_a_download_that_breaks_off_is_continued_where_it_ended(fetched, server):
    server.break_after = [1_500_000, 300_000]
    assert fetched() == {"data.bin": CONTENT}
    assert server.asked[0][1] is None and len(server.asked) == 3
    starts = [int(wanted.removeprefix("bytes=")[:-1]) for _, wanted in server.asked[1:]]
    assert 0 < starts[0] <= 1_500_000 and starts[0] < starts[1] <= 1_800_000


def test_what_was_kept_is_continued_by_the_next_command(fetched, server, tmp_path):
    server.break_after = [100_000] * 5
    with pytest.raises(InputError, match=r"broke off.*; try again later; [\d,]+ bytes are kept"):
        fetched()
    assert not (tmp_path / "data.bin").exists()
    server.asked.clear()
    assert fetched() == {"data.bin": CONTENT}
    assert len(server.asked) == 1 and server.asked[0][1] is not None


def test_another_version_of_a_file_is_not_joined_to_the_old_one(fetched, server):
    server.break_after = [100_000] * 5
    with pytest.raises(InputError):
        fetched()
    server.etag, server.content["/data"] = '"two"', CONTENT[::-1]
    assert fetched() == {"data.bin": CONTENT[::-1]}


@pytest.mark.parametrize(("etag", "ranges"), [(None, True), ('"one"', False), ('W/"weak"', True)])
def test_a_server_that_cannot_continue_starts_over(fetched, server, etag, ranges):
    server.etag, server.ranges = etag, ranges
    server.break_after = [700_000]
    assert fetched() == {"data.bin": CONTENT}


def test_a_part_beyond_the_end_is_begun_again(fetched, server):
    server.break_after = [200_000] * 5
    with pytest.raises(InputError):
        fetched()
    server.content["/data"] = CONTENT[:1000]  # shorter than what was kept, under the same name of its version
    assert fetched() == {"data.bin": CONTENT[:1000]}


def test_a_busy_server_is_asked_again(fetched, server):
    server.answers = [503, 429, 502]
    assert fetched() == {"data.bin": CONTENT}
    server.content["/data"] = CONTENT


@pytest.mark.parametrize(
    ("answers", "message"),
    [([503] * 5, r"the server is busy \(503\); try again later"), ([404], r"not at http.* any more \(404\)"),
     ([403], "answers 403")],
)  # fmt: skip
def test_what_cannot_be_had_is_one_line_and_leaves_nothing(fetched, server, tmp_path, answers, message):
    server.answers = answers
    with pytest.raises(InputError, match=message):
        fetched()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("content", "known", "message"),
    [
        (b"<!DOCTYPE html><title>Virus scan</title>", {}, "a web page came instead of the file"),
        (CONTENT, {"bytes": 7}, "instead of 7; it was removed"),
        (CONTENT, {"md5": "0" * 32}, "not the file that was expected"),
        (CONTENT, {"sha256": "0" * 64}, "not the file that was expected"),
    ],
)
def test_a_wrong_file_is_refused_and_removed(fetched, server, tmp_path, content, known, message):
    server.content["/data"] = content
    with pytest.raises(InputError, match=message):
        fetched(**known)
    assert not list(tmp_path.iterdir())


def test_without_a_network_the_way_by_hand_is_told(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(InputError, match=r"127\.0\.0\.1 cannot be reached; check the network, or download .* --from"):
        download(RemoteFile(f"http://127.0.0.1:{port}/data", "data.bin"), tmp_path / "data.bin")
    assert not list(tmp_path.iterdir())
