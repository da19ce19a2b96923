"""A cache gives what was built, however its files were changed meanwhile, or says that they were."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor, wait

import numpy as np
import pytest
from filelock import FileLock

from askagain.corpus import cache as cache_module
from askagain.corpus.cache import Cache, finish_checks
from askagain.errors import InputError
from askagain.files import checksums
from askagain.files.arrays import load_array

NUMBERS = np.arange(100_000, dtype=np.int64)


def opened(folder):
    def build(path):
        np.save(path / "numbers.npy", NUMBERS, allow_pickle=False)

    return Cache(folder).entry("numbers", {}, build, lambda path: load_array(path / "numbers.npy", "r"))


def flip(folder, share):
    """Flips a bit at a share of the way through the array."""
    (path,) = folder.glob("numbers-*/numbers.npy")
    content = bytearray(path.read_bytes())
    content[int(share * len(content))] ^= 1
    before = path.stat().st_mtime_ns
    path.write_bytes(content)
    os.utime(path, ns=(before + 1, before + 1))  # another time, also on a file system that counts in ticks


def test_a_damaged_entry_is_built_again_with_a_line(tmp_path, caplog):
    opened(tmp_path)
    flip(tmp_path, 0.5)
    assert np.array_equal(opened(tmp_path), NUMBERS)
    assert "is damaged (numbers.npy is not what was written); it is built again" in caplog.text


@pytest.fixture
def large(monkeypatch):
    """Entries of any size count as large; of each file the first and the last block are checked at once."""
    monkeypatch.setattr(cache_module, "LARGE_BYTES", 0)
    monkeypatch.setattr(checksums, "BLOCK_BYTES", 1 << 12)
    monkeypatch.setattr(checksums, "SAMPLED_BLOCKS", 2)


@pytest.mark.usefixtures("large")
def test_a_large_entry_is_checked_as_a_whole_before_figures_are_shown(tmp_path):
    opened(tmp_path)
    opened(tmp_path)
    finish_checks()
    flip(tmp_path, 0.5)
    opened(tmp_path)
    with pytest.raises(InputError, match=r"numbers-.* was damaged .*start again to build it anew"):
        finish_checks()
    assert np.array_equal(opened(tmp_path), NUMBERS)
    finish_checks()


@pytest.mark.usefixtures("large")
def test_a_damaged_entry_that_cannot_be_removed_is_not_said_to_be_and_is_not_used_again(tmp_path, monkeypatch):
    opened(tmp_path)
    flip(tmp_path, 0.5)
    opened(tmp_path)

    def fails(path):
        raise PermissionError

    monkeypatch.setattr(cache_module.shutil, "rmtree", fails)
    for _ in range(2):  # it is checked anew each time
        with pytest.raises(InputError, match="cannot be removed: remove it and start again"):
            finish_checks()
        opened(tmp_path)
    monkeypatch.undo()
    with pytest.raises(InputError, match=r"\): start again"):
        finish_checks()


@pytest.mark.usefixtures("large")
def test_an_entry_that_another_process_has_built_again_is_not_removed(tmp_path):
    opened(tmp_path)
    flip(tmp_path, 0.5)
    opened(tmp_path)
    wait(cache_module._running.values())
    with ThreadPoolExecutor(1) as pool:
        with FileLock(next(tmp_path.glob("numbers-*.lock"))):  # by that process
            finishing = pool.submit(finish_checks)
            with pytest.raises(TimeoutError):
                finishing.result(0.2)
            flip(tmp_path, 0.5)  # whole again
        with pytest.raises(InputError, match="was damaged"):
            finishing.result()
    (path,) = tmp_path.glob("numbers-*/numbers.npy")
    assert np.array_equal(np.load(path), NUMBERS)


@pytest.mark.usefixtures("large")
def test_an_entry_that_changes_after_its_check_is_checked_again(tmp_path):
    opened(tmp_path)
    opened(tmp_path)
    wait(cache_module._running.values())
    flip(tmp_path, 0.5)
    opened(tmp_path)
    with pytest.raises(InputError, match="was damaged"):
        finish_checks()


UNHURRIED = """
import sys, time
from pathlib import Path
from askagain.corpus import cache

cache.LARGE_BYTES = 0
entry = lambda: cache.Cache(Path(sys.argv[1])).entry("text", {}, lambda path: (path / "a").write_text("a"), str)
entry()
cache.check_files = lambda path, **settings: None if "sampled" in settings else time.sleep(20)
entry()
sys.exit("a mistake")
"""


def test_the_end_of_a_process_does_not_wait_for_checks(tmp_path):
    ended = subprocess.run([sys.executable, "-c", UNHURRIED, str(tmp_path)], capture_output=True, text=True, timeout=15)
    assert (ended.returncode, ended.stderr) == (1, "a mistake\n")


@pytest.mark.usefixtures("large")
@pytest.mark.parametrize("share", [0, 0.999999])
def test_the_ends_of_a_large_entry_are_checked_at_once(tmp_path, caplog, share):
    opened(tmp_path)
    flip(tmp_path, share)
    assert np.array_equal(opened(tmp_path), NUMBERS) and "is built again" in caplog.text
    finish_checks()


def test_a_remembered_digest_that_was_changed_is_not_believed(tmp_path):
    (tmp_path / "some.tsv").write_text("a\tb\n")
    cache = Cache(tmp_path / "cache", settled_seconds=-1)
    right = cache.content_digest(tmp_path / "some.tsv")
    (remembered,) = (tmp_path / "cache").glob("digest-*")
    content = remembered.read_text()
    remembered.write_text(("0" if content[0] != "0" else "1") + content[1:])
    assert cache.content_digest(tmp_path / "some.tsv") == right
