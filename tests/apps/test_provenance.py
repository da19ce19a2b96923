import hashlib
import subprocess

import numpy as np
import pytest
from omegaconf import OmegaConf

from askagain.apps.provenance import git_state, start_digests
from askagain.models.bag_encoder import BagEncoder
from askagain.models.folder import save_named
from askagain.text.features import Features
from askagain.text.ngrams import NgramTokenizer
from askagain.text.preprocessor import TextPreprocessor
from askagain.text.vocabulary import WordVocabulary

NONE = {"commit": None, "dirty": None}


@pytest.fixture
def package(tmp_path):
    """A package that a repository tracks, beside a folder that it does not."""
    folder = tmp_path / "src" / "package"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("")
    (tmp_path / "environment").mkdir()
    (tmp_path / "environment" / "__init__.py").write_text("")
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", "src")
    git(tmp_path, "-c", "user.name=A", "-c", "user.email=a@example.org", "commit", "--quiet", "--message", "one")
    return folder


def git(folder, *words: str) -> str:
    return subprocess.run(["git", *words], cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


def test_the_commit_is_that_of_the_repository_and_clean(package):
    assert git_state(package) == {"commit": git(package, "rev-parse", "HEAD"), "dirty": False}


@pytest.mark.parametrize("name", ["__init__.py", "new.py"])
def test_a_changed_or_new_file_makes_it_dirty(package, name):
    (package / name).write_text("changed = True\n")
    assert git_state(package)["dirty"] is True


def test_what_is_written_beside_the_package_does_not(package):
    (package.parent / "notes.txt").write_text("x")
    assert git_state(package)["dirty"] is False


def test_a_package_that_the_repository_around_it_does_not_track_has_no_commit(package, tmp_path):
    assert git_state(tmp_path / "environment") == NONE


def test_without_a_repository_or_without_git_there_is_no_commit(tmp_path, monkeypatch):
    (tmp_path / "__init__.py").write_text("")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert git_state(tmp_path) == NONE
    monkeypatch.setenv("PATH", "")
    assert git_state(tmp_path) == NONE


def test_the_encoder_that_a_table_starts_from_is_noted(tmp_path, monkeypatch):
    monkeypatch.setenv("ASKAGAIN_HOME", str(tmp_path / "home"))

    def noted(**start: str) -> list[dict[str, str]]:
        paths = {"cache_dir": str(tmp_path / "cache")}
        return start_digests(OmegaConf.create({"start": start or None, "paths": paths}))

    assert noted() == noted(name="base") == []  # none was built
    words = Features("words", WordVocabulary(["vim"]), NgramTokenizer())
    folder = save_named(BagEncoder(TextPreprocessor(), words, np.ones((1, 2), dtype=np.float32)), "base")
    table = folder / "table.safetensors"
    expected = [{"path": str(table), "sha256": hashlib.sha256(table.read_bytes()).hexdigest()}]
    assert noted(name="base") == noted(path=str(folder)) == expected
