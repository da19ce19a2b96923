"""An encoder is found by its name where it was built or installed, and a path stays a path."""

import logging
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import askagain
from askagain.errors import InputError
from askagain.models.bag_encoder import BagEncoder
from askagain.models.folder import encoder_folder, save_named
from askagain.models.named import data_folder, located, named_folder
from askagain.text.features import Features
from askagain.text.ngrams import NgramTokenizer
from askagain.text.preprocessor import TextPreprocessor
from askagain.text.vocabulary import WordVocabulary


def encoder(dim: int) -> BagEncoder:
    features = Features("words", WordVocabulary(["mount", "disk"]), NgramTokenizer())
    return BagEncoder(TextPreprocessor(), features, np.ones((2, dim), dtype=np.float32))


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch) -> Path:
    """The user's data folder, with an empty folder to work in."""
    monkeypatch.setenv("ASKAGAIN_HOME", str(tmp_path / "home"))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "home"


@pytest.fixture
def installed(tmp_path, monkeypatch) -> Path:
    """A package that holds an encoder of 3 numbers a vector, and must not be imported."""
    package = tmp_path / "site" / "askagain_encoder_my_site"
    encoder(3).save(package / "encoder")
    (package / "__init__.py").write_text("raise SystemExit('imported')\n")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    return package


def test_a_saved_name_is_loaded_and_saved_again(home, caplog):
    assert save_named(encoder(4), "my-site") == home / "encoders" / "my-site"
    with caplog.at_level(logging.INFO):
        assert askagain.load("my-site").dim == 4
    assert f"my-site: the encoder in {home / 'encoders' / 'my-site'}" in caplog.messages
    save_named(encoder(5), "my-site")
    assert askagain.load("my-site", dim=2).dim == 2 and askagain.load(Path("my-site")).dim == 5
    assert [path.name for path in (home / "encoders").iterdir()] == ["my-site"]


def test_a_package_is_found_without_being_imported(installed):
    assert askagain.load("my-site").dim == askagain.load("my_site").dim == 3
    assert encoder_folder("my-site") == installed / "encoder"
    assert installed.name not in sys.modules


def test_what_was_built_here_comes_before_a_package(installed):
    save_named(encoder(4), "my-site")
    assert askagain.load("my-site").dim == 4


def test_a_path_of_the_same_name_comes_first():
    save_named(encoder(4), "mine")
    encoder(6).save("mine")
    assert askagain.load("mine").dim == 6 and named_folder("mine") is None and located("mine") == Path("mine")


@pytest.mark.parametrize("path", ["./mine", "runs/mine", "mine.ckpt", "/mine", "..", "", "-mine", "x" * 300])
def test_what_is_no_name_is_a_path(path):
    assert located(path) == Path(path)


def test_a_name_that_nothing_has_says_where_it_was_looked_for(home):
    with pytest.raises(InputError) as refused:
        askagain.load("no-where")
    for said in (
        "no-where: no encoder here",
        str(home / "encoders" / "no-where"),
        "askagain_encoder_no_where",
        "a run folder",
    ):
        assert said in str(refused.value)


def test_a_folder_of_the_name_without_an_encoder_is_named(home):
    (home / "encoders" / "mine").mkdir(parents=True)
    with pytest.raises(InputError, match=f"^{home}/encoders/mine: no encoder here"):
        askagain.load("mine")


@pytest.mark.parametrize("name", ["", "a/b", "..", "a.b", "-a", "a_", "é", "x" * 65])
def test_a_name_that_no_package_can_have_is_refused(home, name):
    with pytest.raises(InputError, match="a name has up to 64 letters"):
        save_named(encoder(2), name)
    assert not home.exists()


@pytest.mark.parametrize(
    ("system", "settings", "folder"),
    [
        ("linux", {}, "~/.local/share/askagain"),
        ("linux", {"XDG_DATA_HOME": "/data"}, "/data/askagain"),
        ("linux", {"XDG_DATA_HOME": "data"}, "~/.local/share/askagain"),
        ("linux", {"XDG_DATA_HOME": "/data", "ASKAGAIN_HOME": "~/own"}, "~/own"),
        ("darwin", {}, "~/Library/Application Support/askagain"),
        ("win32", {}, "~/AppData/Local/askagain"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local/askagain"),
    ],
)
def test_the_data_folder_is_where_the_system_has_such_folders(monkeypatch, system, settings, folder):
    for name in ("ASKAGAIN_HOME", "XDG_DATA_HOME", "LOCALAPPDATA"):
        monkeypatch.setenv(name, settings.get(name, ""))
    monkeypatch.setattr(sys, "platform", system)
    assert data_folder() == Path(folder).expanduser()


def test_without_a_home_folder_a_name_is_refused_in_one_line(monkeypatch):
    def homeless():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("ASKAGAIN_HOME")
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    monkeypatch.setattr(Path, "home", homeless)
    with pytest.raises(InputError, match="set ASKAGAIN_HOME"):
        askagain.load("mine")


def test_a_name_is_found_without_pytorch(home):
    save_named(encoder(4), "mine")
    program = "import askagain, sys; askagain.load('mine').encode(['disk']); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True)
