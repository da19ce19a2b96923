"""What a command meets before and beside its run: files it reads first, its folder, whoever reads what it prints."""

import re
import subprocess
import sys
from multiprocessing import forkserver

import pytest
from omegaconf import OmegaConf

from askagain.apps import command, command_line
from askagain.apps.command_line import check_local_settings, read_env_file
from askagain.distributed import launch
from askagain.errors import InputError


@pytest.fixture
def configs(tmp_path, monkeypatch):
    """The folder of configs, with one for settings of this machine."""
    (tmp_path / "configs" / "local").mkdir(parents=True)
    monkeypatch.setattr(command_line, "CONFIGS", tmp_path / "configs")
    return tmp_path / "configs"


def test_an_env_file_that_is_not_utf8_is_named(configs):
    (configs.parent / ".env").write_bytes(b"A=\xff\n")
    with pytest.raises(InputError, match=re.escape(f"{configs.parent / '.env'}: not UTF-8; save it as UTF-8")):
        read_env_file()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a: [b", "default.yaml, line 1: not YAML (expected ',' or ']'"),
        (b"a: \xff", "default.yaml: not UTF-8; save it as UTF-8"),
        (b"just words", "default.yaml: holds no settings; write them as YAML"),
        (b"# nothing", None),
        (b"paths:\n  cache_dir: x\n", None),
    ],
)
def test_local_settings_that_cannot_be_read_are_named(configs, content, message):
    check_local_settings()  # without a file
    (configs / "local" / "default.yaml").write_bytes(content)
    if message is None:
        check_local_settings()
    else:
        with pytest.raises(InputError, match=re.escape(message)):
            check_local_settings()


def test_a_command_without_standard_output_prints_to_nowhere(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    command._open_closed_streams()
    assert not sys.stdout.isatty()
    sys.stdout.close()


@pytest.mark.parametrize("printed", ["rich.print('x')", "print('x', flush=True)"])
def test_a_reader_that_has_seen_enough_ends_a_command_as_sigpipe_would(printed):
    code = (
        f"import rich; from askagain.apps.command import _answered; _answered(lambda: [{printed} for _ in range(9999)])"
    )
    shell = ["bash", "-c", 'set -o pipefail; "$@" | head -1', "bash", sys.executable, "-c", code]
    ended = subprocess.run(shell, capture_output=True, text=True)
    assert (ended.returncode, ended.stdout, ended.stderr) == (141, "x\n", "")


def test_a_working_folder_that_was_deleted_is_one_line(tmp_path):
    gone = "import os, sys; os.chdir(sys.argv.pop()); os.rmdir(os.getcwd())"
    code = f"{gone}; from askagain.apps.command import run; run(print)"
    ended = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True)
    assert ended.returncode == 2 and ended.stderr.splitlines() == [
        "error: the working folder was deleted; type `cd` and a folder that is there"
    ]


@pytest.mark.parametrize(
    ("accelerator", "devices", "started_by_torchrun", "method"),
    [
        ("cpu", 2, False, "forkserver"),
        ("cpu", "3", False, "forkserver"),
        ("cpu", 1, False, "spawn"),
        ("cpu", "auto", False, "spawn"),
        ("gpu", 2, False, "spawn"),  # CUDA does not work in forks
        ("auto", 2, False, "spawn"),
        ("cpu", 2, True, "spawn"),
    ],
)
def test_ranks_of_the_processor_are_forks_and_others_new_processes(
    accelerator, devices, started_by_torchrun, method, monkeypatch
):
    started = []
    monkeypatch.setattr(forkserver, "ensure_running", lambda: started.append(True))
    monkeypatch.setattr(launch, "_start_method", "forkserver")  # of an earlier run of a sweep
    monkeypatch.setattr(command, "cluster_environment", lambda: object() if started_by_torchrun else None)
    command.import_for_ranks(OmegaConf.create({"trainer": {"accelerator": accelerator, "devices": devices}}))
    assert (launch._start_method, bool(started)) == (method, method == "forkserver")
    command.import_for_ranks(OmegaConf.create({"data": {}}))  # nothing is trained
    assert launch._start_method == "spawn"
