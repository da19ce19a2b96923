"""What is written under a temporary name appears whole or not at all, and leaves nothing behind."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from askagain.files import writing
from askagain.files.writing import HOST, atomic_write, write_text


def folder_with(path: Path, text: str) -> Path:
    path.mkdir()
    (path / "file").write_text(text)
    return path


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def ended_process() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


@pytest.mark.parametrize("exchanges", [True, False])
def test_a_folder_is_replaced_and_nothing_else_stays(tmp_path, monkeypatch, exchanges):
    if not exchanges:
        monkeypatch.setattr(writing, "_exchange", lambda one, other: False)
    folder = folder_with(tmp_path / "encoder", "the earlier one")
    with atomic_write(folder) as temporary:
        folder_with(temporary, "the new one")
    assert (folder / "file").read_text() == "the new one" and names(tmp_path) == ["encoder"]


def test_a_folder_that_cannot_be_replaced_stays_as_it_was(tmp_path, monkeypatch):
    folder = folder_with(tmp_path / "encoder", "the earlier one")

    def fails(self: Path, target: Path) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(Path, "replace", fails)
    monkeypatch.setattr(writing, "_exchange", lambda one, other: False)
    with pytest.raises(OSError, match="no space left"), atomic_write(folder) as temporary:
        folder_with(temporary, "the new one")
    assert (folder / "file").read_text() == "the earlier one" and names(tmp_path) == ["encoder"]


def test_a_block_that_writes_nothing_is_a_mistake(tmp_path):
    with pytest.raises(FileNotFoundError), atomic_write(tmp_path / "file"):
        pass


def test_what_a_killed_process_left_goes_with_the_next_write_and_that_of_others_stays(tmp_path):
    unique = "0" * 32
    ended, running, elsewhere = f"{HOST}-{ended_process()}", f"{HOST}-{os.getpid()}", "00000000-1"
    for process in (ended, running, elsewhere):
        (tmp_path / f".last.ckpt.{process}-{unique}.part").write_text("half")
    folder_with(tmp_path / f".encoder.{ended}-{unique}.part", "half")
    write_text(tmp_path / "other", ["whole"])
    left = [f".last.ckpt.{process}-{unique}.part" for process in (running, elsewhere)]
    assert names(tmp_path) == sorted([*left, "other"])


def test_process_ids_of_another_namespace_are_those_of_another_host():
    inside = [
        "unshare",
        "--pid",
        "--fork",
        sys.executable,
        "-c",
        "from askagain.files.writing import HOST; print(HOST)",
    ]
    if shutil.which("unshare") is None:
        pytest.skip("no unshare here")
    made = subprocess.run(inside, capture_output=True, text=True)
    if made.returncode:
        pytest.skip(f"no namespace can be made: {made.stderr}")
    assert made.stdout.strip() != HOST
    assert subprocess.check_output(inside[3:], text=True).strip() == HOST


def test_a_folder_that_a_killed_process_had_renamed_aside_is_put_back(tmp_path):
    folder_with(tmp_path / f".encoder.{HOST}-{ended_process()}-{'0' * 32}.old", "the earlier one")
    write_text(tmp_path / "other", [""])
    assert (tmp_path / "encoder" / "file").read_text() == "the earlier one"
    assert names(tmp_path) == ["encoder", "other"]
