"""What holds of the container file without an engine that builds it."""

import json
import re
import shlex
import tomllib
from fnmatch import fnmatch
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import click
import pytest

import askagain.cli.main
from askagain.serving.health import complaint

ROOT = Path(__file__).resolve().parents[2]
TOKEN = "a-token-for-the-tests"


@pytest.fixture
def steps() -> list[tuple[str, str]]:
    """The instructions of the container file, each with the rest of its line."""
    text = re.sub(r"^#.*\n", "", (ROOT / "Containerfile").read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    return [(line.partition(" ")[0], line.partition(" ")[2].strip()) for line in text.splitlines() if line.strip()]


def values(steps: list[tuple[str, str]], instruction: str) -> list[str]:
    return [rest for name, rest in steps if name == instruction]


def test_its_extras_exist_and_bring_no_pytorch(steps):
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    installed = {name for run in values(steps, "RUN") for found in re.findall(r"'\.\[(.*?)\]'", run)
                 for name in found.split(",")}  # fmt: skip
    assert installed and installed <= set(extras)
    waiting = list(installed)
    while waiting:
        for need in extras[waiting.pop()]:
            assert not need.startswith("torch"), need
            waiting += re.findall(r"[a-z]+", need.partition("[")[2]) if need.startswith("askagain[") else []


def test_it_runs_as_a_user_without_rights_whose_number_is_fixed(steps):
    (user,) = values(steps, "USER")
    uid, gid = map(int, user.split(":"))
    assert uid >= 10_000 and gid == uid
    (created,) = [run for run in values(steps, "RUN") if "useradd" in run]
    assert f"--uid {uid}" in created and "--shell /usr/sbin/nologin" in created
    assert [name for name, _ in steps].index("USER") > max(
        place for place, (name, _) in enumerate(steps) if name in ("RUN", "COPY")
    )


def test_its_command_is_one_that_askagain_understands(steps):
    (entry,), (words,) = values(steps, "ENTRYPOINT"), values(steps, "CMD")
    assert json.loads(entry) == ["askagain"]
    verb, *rest = json.loads(words)
    command = askagain.cli.main.askagain.commands[verb]
    assert command.make_context(verb, list(rest)).params["host"] == "0.0.0.0"
    with pytest.raises(click.UsageError):
        command.make_context(verb, [*rest, "--no-such-option"])


def test_its_health_check_asks_with_the_token_that_the_server_has(steps):
    (check,), (words,) = values(steps, "HEALTHCHECK"), values(steps, "CMD")
    python, dash_m, module, port, token_file = json.loads(check[check.index("[") :])
    assert (python, dash_m, module) == ("python", "-m", "askagain.serving.health")
    assert token_file == json.loads(words)[json.loads(words).index("--token-file") + 1]
    assert [port] == values(steps, "EXPOSE")


def test_what_it_copies_is_there_and_not_ignored(steps):
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and line[0] != "#"]
    assert lines[0] == "*"
    copied = [rest for rest in values(steps, "COPY") if not rest.startswith("--from")]
    sources = [source for rest in copied for source in shlex.split(rest)[:-1]]
    assert "pyproject.toml" in sources
    for source in sources:
        name = source.removeprefix("./")
        assert (ROOT / name).exists(), name
        ruling = [line for line in lines if fnmatch(name, line.lstrip("!"))]
        assert ruling[-1].startswith("!"), f"{name} is ignored"


def test_the_project_is_installed_from_what_is_copied(steps):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    copied = " ".join(values(steps, "COPY"))
    assert all(name in copied for name in (project["readme"], *project["license-files"], "src"))


class _NeedsToken(BaseHTTPRequestHandler):
    def do_GET(self):
        is_right = self.path == "/health" and self.headers["authorization"] == f"Bearer {TOKEN}"
        self.send_response(200 if is_right else 401)
        self.end_headers()

    def log_message(self, *_args):
        pass


def test_the_health_check_needs_an_answer_to_the_token(tmp_path):
    token = tmp_path / "token"
    token.write_text(f"{TOKEN}\n")
    with HTTPServer(("127.0.0.1", 0), _NeedsToken) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            assert complaint(server.server_port, token) is None
            token.write_text("another-token-than-that")
            assert "status 401" in str(complaint(server.server_port, token))
            assert "no answer" in str(complaint(server.server_port, tmp_path / "none"))
        finally:
            server.shutdown()
            thread.join()
    assert "no answer" in str(complaint(server.server_port, token))
