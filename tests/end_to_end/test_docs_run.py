"""The commands that the pages show are run, those that take seconds and need no network, on a small corpus."""

import os
import re
import shlex
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.end_to_end.conftest import succeeded

pytestmark = pytest.mark.slow
PAGES = ("README.md", "docs/getting-started.md", "docs/extending.md")
COMMAND = re.compile(r"^python ((?:train|evaluate)\.py .*)$", re.MULTILINE)
# Left out: a teacher, a network, several runs, a page that is printed.
LONG = (
    "distill",
    "teacher",
    "google_news",
    "gensim_data",
    "hydra/",
    "-m",
    "--help",
    "--cfg",
    "mine",
    "experiment=trigram",
)
OWN = "tests.end_to_end.own_parts"


def shown() -> list[str]:
    """The commands, each once, without what is left out."""
    pages = [(ROOT / name).read_text(encoding="utf-8").replace("\\\n", "") for name in PAGES]
    lines = dict.fromkeys(
        shlex.join(shlex.split(line, comments=True)) for page in pages for line in COMMAND.findall(page)
    )
    return [line for line in lines if not any(part in line for part in LONG)]


@pytest.fixture(scope="module")
def run(tmp_path_factory, small, cache_folder, warm_python) -> Path:
    """What RUN stands for."""
    folder = tmp_path_factory.mktemp("docs") / "run"
    words = ("data=tsv", f"data.dir={small}", *shorter("train.py"), f"hydra.run.dir={folder}")
    result = warm_python.run(
        ROOT / "train.py", words, ROOT, os.environ | {"ASKAGAIN_CACHE": str(cache_folder)}, timeout=300
    )
    return succeeded(result)


def shorter(line: str) -> list[str]:
    """What makes a run of a command short."""
    if line.startswith("evaluate.py") or "word_vectors" in line:
        return []
    epochs = [] if "trainer.max_epochs" in line or "debug" in line else ["trainer.max_epochs=1"]
    return [*epochs, "model.dim=64", "data.batch_size=64", "trainer.accelerator=cpu"]


@pytest.mark.parametrize("line", shown())
def test_a_command_of_the_pages_runs(command, small, run, line):
    words = [
        word.replace("DIR", str(small)).replace("RUN", str(run)).replace("my_module", OWN) for word in shlex.split(line)
    ]
    succeeded(command(words[0], *words[1:], *shorter(line)))


def test_the_readmes_python_runs(small, tmp_path, monkeypatch):
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    overrides = ["trainer.max_epochs=1", "model.dim=16", "data.batch_size=64", "trainer.accelerator=cpu", "logger=none"]
    monkeypatch.chdir(tmp_path)
    code = code.replace('data.dir=DIR"', f'data.dir={small}", *{overrides}')
    names: dict = {}
    exec(code, names)
    assert names["vectors"].shape == (2, 16) and -1.0001 <= names["cosine"] <= 1.0001
