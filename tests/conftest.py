"""What several tests share: the real data where it is at hand, and the commands a user types."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.warm_python import WarmPython

os.environ["HF_HUB_OFFLINE"] = "1"  # no test waits for a hub that may not be there
os.environ["ASKAGAIN_HOME"] = os.devnull  # no encoder of this machine is found, and no test can leave one there
# Code that is compiled outside of commands is kept for later runs of the tests, but not in the user's home.
os.environ["XDG_CACHE_HOME"] = str(Path(tempfile.gettempdir()) / f"askagain-tests-{os.getuid()}")
# Tests that run side by side share the processor; threads that wait for each other would take most of it.
workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
if workers > 1:
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // workers)))

ROOT = Path(__file__).resolve().parent.parent
READ_LATE = {"ASKAGAIN_CACHE", "ASKAGAIN_HOME", "WANDB_MODE"}  # variables that nothing reads while it is imported
REAL_DATA = ROOT.parent / "shared" / "data"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skips what needs a GPU where there is none."""
    on_gpu = [item for item in items if item.get_closest_marker("cuda") is not None]
    if on_gpu:
        import torch  # not where no such test is collected

        if not torch.cuda.is_available():
            for item in on_gpu:
                item.add_marker(pytest.mark.skip(reason="torch finds no GPU"))


@pytest.fixture(scope="session")
def askubuntu() -> Path:
    """The folder of real AskUbuntu titles."""
    folder = REAL_DATA / "askubuntu"
    if not (folder / "validation.tsv").is_file():
        pytest.skip(f"the AskUbuntu titles are not at {folder}")
    return folder


@pytest.fixture(scope="session")
def cache_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cache for all commands of a session, so that the sample is generated once."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def warm_python() -> Iterator[WarmPython]:
    """A process that has imported what most commands import."""
    with WarmPython() as python:
        yield python


@pytest.fixture
def command(
    cache_folder: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs `python SCRIPT WORDS...` in the project's folder, runs going to tmp_path/runs; returns what it printed.

    With an environment that matters to what Python imports, in another folder, and in files marked with `new_process`
    it is a process from the start, else a fork of one that has imported much already.
    """

    def run(script: str, *words: str, cwd: Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
        if script in ("train.py", "evaluate.py") and not any(word.startswith("--") for word in words):
            words = (*words, f"paths.runs_dir={tmp_path / 'runs'}")
        path, settings = ROOT / script, {"ASKAGAIN_CACHE": str(cache_folder), "COLUMNS": "140"}
        can_be_warm = cwd == ROOT and environment.keys() <= READ_LATE
        if can_be_warm and request.node.get_closest_marker("new_process") is None:
            warm: WarmPython = request.getfixturevalue("warm_python")
            return warm.run(path, words, cwd, os.environ | settings | environment, timeout=300)
        return subprocess.run(
            [sys.executable, str(path), *words],
            cwd=cwd,
            env=os.environ | settings | environment,
            capture_output=True,
            text=True,
            timeout=300,
        )

    return run


@pytest.fixture(scope="module")
def compiled() -> Iterator[Path]:
    """The folder of what is compiled in C, which is in use; skips where there is no compiler."""
    from askagain.native import library, ranks, store, terms, texts

    library.use("auto")
    if any(module._library.loaded(wait=True) is None for module in (ranks, store, terms, texts)):
        library.use()
        pytest.skip("this machine has no compiler")
    yield library.folder()
    library.use()


@pytest.fixture(params=["auto", "plain"])
def kernels(request: pytest.FixtureRequest) -> Iterator[str]:
    """`auto`, with what is compiled in C, or `plain`, without."""
    from askagain.native import library

    if request.param == "auto":
        request.getfixturevalue("compiled")
    library.use(request.param)
    yield request.param
    library.use()
