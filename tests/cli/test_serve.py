import os
import re
import signal
import subprocess
import sys
import time

import pytest
import requests

from askagain.benchmarks.serving import TOKEN, Load, lost, put_under_load, server_process
from askagain.search.index import Index
from askagain.search.index_writer import IndexWriter
from askagain.torture.server import abused, killed
from tests.cli.conftest import refused
from tests.search.conftest import WORDS, small_encoder, some_questions

TYPED = [" ".join(WORDS[place : place + 4]) for place in range(9)]


@pytest.fixture
def index(tmp_path):
    IndexWriter.create(tmp_path / "index", small_encoder(), some_questions(200))
    return tmp_path / "index"


@pytest.fixture
def run(tmp_path):
    """A folder with an encoder, as a training leaves it, and a file of questions."""
    small_encoder().save(tmp_path / "run" / "encoder")
    (tmp_path / "titles.txt").write_text("quit vim\nundo the merge\n\nmount usb disk\n", encoding="utf-8")
    return tmp_path / "run"


def test_what_cannot_be_served_is_one_line(askagain, index, run, tmp_path):
    titles, token = tmp_path / "titles.txt", tmp_path / "token"
    token.write_text("short\n")
    for words, said in (
        ([tmp_path / "nothing"], "nothing: no index; make one with askagain index"),
        ([run], "--corpus FILE"),
        ([index, "--corpus", titles], "--corpus is for a run"),
        ([index, "-o", tmp_path / "kept"], "--corpus"),
        ([run, "--corpus", tmp_path / "no.txt"], "no.txt"),
        ([run, "--corpus", titles, "--token-file", token], "at least 16 characters"),
        ([index, "--token-file", tmp_path / "no"], "no: No such file"),
        ([index, "--host", "0.0.0.0"], "--host 0.0.0.0: others can reach it there; give a token with --token-file"),
        ([index, "--host", "203.0.113.7", "--token-file", token], "16 characters"),
        ([index, "--port", "70000"], "70000"),
        ([], "FOLDER"),
    ):
        assert said in refused(askagain("serve", *words)), words
    token.write_text("a-token-of-some-length\n")
    assert "keep it with -o" in refused(askagain("serve", run, "--corpus", titles, "--token-file", token))
    assert "cannot be listened on" in refused(askagain("serve", index, "--host", "203.0.113.7", "--token-file", token))
    listed = index / "index.json"
    listed.write_bytes(listed.read_bytes()[:-20])
    assert "damaged" in refused(askagain("serve", index))


def test_a_port_that_is_taken_is_one_line(askagain, index):
    with server_process([index], None) as server:
        assert f"127.0.0.1:{server.port} cannot be listened on" in refused(
            askagain("serve", index, "--port", server.port)
        )


def test_a_run_answers_after_one_command(run, tmp_path):
    with server_process([run, "--corpus", tmp_path / "titles.txt"], None) as server:
        address = f"http://127.0.0.1:{server.port}"
        hits = requests.get(f"{address}/search", {"q": "quit vim", "k": 1}, timeout=20).json()["hits"]
        assert [(hit["id"], hit["text"], hit["score"]) for hit in hits] == [("1", "quit vim", 1.0)]
        assert requests.get(f"{address}/indexes", timeout=20).json()["indexes"][0]["name"] == "run"
    kept = tmp_path / "kept"
    with server_process([run, "--corpus", tmp_path / "titles.txt", "-o", kept], tmp_path / "token") as server:
        added = requests.post(
            f"http://127.0.0.1:{server.port}/questions",
            json={"questions": [{"id": "new", "text": "list disk"}]},
            headers={"authorization": f"Bearer {TOKEN}"},
            timeout=20,
        )
        assert added.status_code == 201
    assert [question.id for question in Index(kept).questions()] == ["1", "2", "4", "new"]


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_when_all_that_was_asked_is_answered(index, tmp_path, sent):
    token = tmp_path / "token"
    token.write_text(TOKEN)
    token.chmod(0o600)
    command = [sys.executable, "-m", "askagain.cli.main", "serve", index, "--port", "0", "--token-file", token]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        port = next(int(found[1]) for line in process.stdout if (found := re.search(r":(\d+)/ answers", line)))
        timer = subprocess.Popen(["sh", "-c", f"sleep 1; kill -{int(sent)} {process.pid}"])
        result = put_under_load(port, Load(5, 2.5, TYPED, added=50))
        timer.wait()
        assert process.wait(20) == 0
        said, complained = process.stdout.read(), process.stderr.read()
    assert said == "ended\n" and complained == ""
    assert result.acknowledged and not lost(index, result)
    assert not [failure for failure in result.failures if "status" in failure or "Timeout" in failure], result.failures


def test_people_who_type_are_answered_while_questions_are_added(index, tmp_path):
    with server_process([index], tmp_path / "token") as server:
        result = put_under_load(server.port, Load(10, 4.0, TYPED, added=60, keeps=64))
    assert result.failures == {} and len(result.latencies) > 40
    assert len(result.write_latencies) > 60 and result.removed > 20 and result.memory
    assert not lost(index, result)
    assert len(Index(index)) == 200 + len(result.acknowledged)


@pytest.mark.slow
def test_no_acknowledged_question_is_lost_by_kills(index, tmp_path):
    result = killed(index, tmp_path / "token", TYPED, kills=4, added=400)
    assert len(result.write_latencies) > 100 and not lost(index, result)
    present = {question.id for question in Index(index).questions()} - {one.id for one in some_questions(200)}
    assert len(present - result.acknowledged) <= 4 * 16, "a question of each connection may be written and not yet said"


@pytest.mark.slow
def test_the_server_folds_its_journal_while_it_answers(index, tmp_path):
    with server_process([index], tmp_path / "token") as server:
        address, headers = f"http://127.0.0.1:{server.port}", {"authorization": f"Bearer {TOKEN}"}
        for block in range(3):
            new = [{"id": f"{block}-{place}", "text": f"{WORDS[place % 13]} {place}"} for place in range(2_000)]
            if block == 2:
                new[-1] = {"id": "last", "text": "exit branch mount disk"}
            assert requests.post(f"{address}/questions", json={"questions": new}, headers=headers, timeout=20).ok
        deadline = time.monotonic() + 60
        while Index(index).info()["in the journal"] and time.monotonic() < deadline:
            assert requests.get(f"{address}/search", {"q": "vim"}, timeout=20).ok
            time.sleep(0.2)
        info = Index(index).info()
        assert info["in the journal"] == 0 and info["segments"] == 2 and info["questions"] == 6_200
        while requests.get(f"{address}/health", timeout=20).json()["questions"] != 6_200:
            assert time.monotonic() < deadline
        asked = {"q": "exit branch mount disk", "k": 1}
        assert requests.get(f"{address}/search", asked, timeout=20).json()["hits"][0]["id"] == "last"


@pytest.mark.slow
def test_who_wants_to_hold_it_up_does_not(index, tmp_path):
    with server_process([index], tmp_path / "token") as server:
        result, opened = abused(server.port, Load(5, 6.0, TYPED, added=20))
    assert opened > 160 and result.failures == {} and len(result.latencies) > 20
    assert not lost(index, result)


def test_a_token_that_others_may_read_is_said(index, tmp_path):
    token = tmp_path / "token"
    token.write_text(TOKEN)
    for mode, is_said in ((0o644, True), (0o600, False)):
        token.chmod(mode)
        command = [sys.executable, "-m", "askagain.cli.main", "serve", index, "--port", "0", "--token-file", token]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            next(line for line in process.stdout if "answers" in line)
            os.kill(process.pid, signal.SIGTERM)
            assert process.wait(20) == 0
            assert ("chmod 600" in process.stderr.read()) == is_said


def test_an_index_is_served_where_nothing_else_can_be_written(index):
    code = (
        "import sys, tempfile; from askagain.cli.main import main\n"
        "def none(*args, **rest): raise FileNotFoundError('No usable temporary directory found')\n"
        "tempfile.mkdtemp = none; main()"
    )
    command = [sys.executable, "-c", code, "serve", index, "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert any("answers" in line for line in process.stdout)
        process.terminate()
        assert process.wait(20) == 0
