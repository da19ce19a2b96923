"""Libraries that are compiled here: when they are, where they are kept, and what is run of what is there."""

import gc
import shutil
import tempfile
import time
import weakref
from pathlib import Path

import numpy as np
import pytest

from askagain.errors import InputError
from askagain.native import library
from askagain.native.library import Library

SOURCE = "int answer(void) { return 42; }\n"


@pytest.fixture(autouse=True)
def as_before():
    yield
    library.use()


@pytest.fixture
def own(tmp_path) -> Library:
    (tmp_path / "answer.c").write_text(SOURCE)
    if not any(map(shutil.which, library.COMPILERS)):
        pytest.skip("this machine has no compiler")
    return Library(tmp_path / "answer.c")


def test_it_is_compiled_once_and_kept(own, tmp_path):
    folder = tmp_path / "kept"
    library.use("auto", folder)
    assert own.loaded(wait=True).answer() == 42
    (made,) = folder.iterdir()
    written = made.stat().st_mtime_ns
    assert Library(tmp_path / "answer.c").loaded(wait=True).answer() == 42
    assert made.stat().st_mtime_ns == written and made.stat().st_mode & 0o777 == 0o500
    (tmp_path / "answer.c").write_text(SOURCE.replace("42", "43"))
    assert Library(tmp_path / "answer.c").loaded(wait=True).answer() == 43
    assert len(list(folder.iterdir())) == 2
    library.use("auto", tmp_path / "another")
    assert own.loaded(wait=True).answer() == 43 and len(list((tmp_path / "another").iterdir())) == 1


def test_what_was_compiled_before_is_there_at_once(own, tmp_path):
    library.use("auto", tmp_path / "kept")
    assert own.loaded(wait=False, may_compile=False) is None and not (tmp_path / "kept").exists()
    assert own.loaded(wait=True) is not None
    library.use("plain")
    assert own.loaded(wait=False) is None
    library.use("auto", tmp_path / "kept")
    assert own.loaded(wait=False, may_compile=False) is not None
    assert Library(tmp_path / "answer.c").loaded(wait=False, may_compile=False) is not None


def test_nobody_waits_who_does_not_want_to(own, tmp_path):
    library.use("auto", tmp_path / "kept")
    assert own.loaded(wait=False) is None
    deadline = time.monotonic() + 60
    while own.loaded(wait=False) is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_nothing_is_compiled_where_plain_is_chosen_or_there_is_no_compiler(own, tmp_path, monkeypatch):
    library.use("plain", tmp_path / "plain")
    assert own.loaded(wait=True) is None and not (tmp_path / "plain").exists()
    monkeypatch.setenv("ASKAGAIN_KERNELS", "plain")
    library.use(folder=tmp_path / "plain")
    assert own.loaded(wait=True) is None and not (tmp_path / "plain").exists()
    for compiler in ("no-such-compiler", "cc 'and a quote"):
        monkeypatch.setenv("CC", compiler)
        library.use("auto", tmp_path / compiler)
        assert own.loaded(wait=True) is None and not (tmp_path / compiler).exists()
    monkeypatch.delenv("CC")
    (tmp_path / "answer.c").write_text("not C")
    library.use("auto", tmp_path / "broken")
    assert own.loaded(wait=True) is None and not list((tmp_path / "broken").glob("*"))


def test_another_word_in_the_environment_is_refused(monkeypatch):
    monkeypatch.setenv("ASKAGAIN_KERNELS", "fast")
    with pytest.raises(InputError, match="ASKAGAIN_KERNELS=fast: must be auto, plain or graphs"):
        library.choice()


def test_what_others_may_write_is_compiled_anew(own, tmp_path):
    library.use("auto", tmp_path / "kept")
    assert own.loaded(wait=True) is not None
    (made,) = (tmp_path / "kept").iterdir()
    made.unlink()  # this process has mapped what was there
    made.write_bytes(b"something else")
    made.chmod(0o777)
    assert Library(tmp_path / "answer.c").loaded(wait=True).answer() == 42
    assert made.stat().st_mode & 0o777 == 0o500


def test_it_is_kept_in_the_cache_unless_another_folder_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("ASKAGAIN_CACHE", str(tmp_path))
    assert library.folder() == tmp_path / "kernels"
    monkeypatch.delenv("ASKAGAIN_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "users"))
    assert library.folder() == tmp_path / "users" / "askagain" / "kernels"
    monkeypatch.setenv("XDG_CACHE_HOME", "not/absolute")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert library.folder() == tmp_path / "home" / ".cache" / "askagain" / "kernels"
    monkeypatch.setenv("HOME", "nowhere")
    monkeypatch.setattr("pathlib.Path.home", homeless)
    assert library.folder().parent == Path(tempfile.gettempdir())


def test_an_array_lives_as_long_as_its_pointer():
    array = np.arange(3)
    alive = weakref.ref(array)
    address = library.pointer(array)
    del array
    gc.collect()
    assert alive() is not None and alive().ctypes.data == address.value
    with pytest.raises(ValueError, match="one piece"):
        library.pointer(np.arange(6)[::2])


def homeless() -> None:
    raise RuntimeError("Could not determine home directory.")
