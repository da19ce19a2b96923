"""Ranking rows drawn from a file of groups."""

import pytest

from askagain.corpus.cache import Cache
from askagain.corpus.drawn_rows import drawn_rows
from askagain.corpus.files import CorpusFiles
from askagain.errors import InputError

GROUPS = "quit vim\tleave vim\texit vim\nundo a merge\trevert a merge\nquit vim\tstop vim\n"


@pytest.fixture
def draw(tmp_path):
    (tmp_path / "groups.tsv").write_text(GROUPS)
    (tmp_path / "train.tsv").write_text("list ports\topen ports\nLeave vim?\tclose vim\n")
    (tmp_path / "corpus.txt").write_text("".join(f"topic {i} of many\n" for i in range(50)))

    def rows(seed=0, candidates=20, groups="groups.tsv"):
        files = CorpusFiles.locate(str(tmp_path))
        path = drawn_rows(tmp_path / groups, files, Cache(tmp_path / "cache"), candidates, seed, "error", clean=True)
        return [line.split("\t") for line in path.read_text().splitlines()]

    return rows


def test_each_group_is_a_row_without_its_other_members_and_texts_like_them(draw):
    vim, merge = draw(candidates=60)
    members = {"quit vim", "leave vim", "exit vim", "stop vim"}  # of two lines that share a text
    assert set(vim[:2]) < members and set(merge[:2]) == {"undo a merge", "revert a merge"}
    assert not set(vim[2:]) & (members | {"Leave vim?"})
    assert {"list ports", "open ports", "undo a merge"} <= set(vim[2:])
    assert len(set(vim)) == len(vim)


def test_rows_depend_on_the_seed_alone(draw):
    assert draw(seed=1) == draw(seed=1) != draw(seed=2)
    assert [len(row) for row in draw(candidates=7)] == [9, 9]


def test_groups_without_a_pair_are_refused(draw, tmp_path):
    (tmp_path / "same.tsv").write_text("a\ta\n")
    with pytest.raises(InputError, match="no group with two different questions"):
        draw(groups="same.tsv")
