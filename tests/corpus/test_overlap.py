"""What a ranking set shares with the training set is found by the texts themselves."""

from pathlib import Path

import pytest

from askagain.corpus.cache import Cache
from askagain.corpus.groups import joined_groups
from askagain.corpus.overlap import overlap, resembling_groups
from askagain.corpus.token_store import TokenStore

TRAIN = "quit vim\texit vim\nopen ports\tports in use\nexit vim\tleave vim\n"


@pytest.fixture
def found(tmp_path):
    """The overlap of a training set with rows of a ranking set."""

    def find(*rows):
        stores = []
        for name, content, columns in (("train", TRAIN, 2), ("validation", "\n".join(rows), 3)):
            path = Path(tmp_path / f"{name}.tsv")
            path.write_text(content)
            stores.append(TokenStore(path, columns, "error", Cache(tmp_path / "cache")))
        train, ranking = stores
        return overlap(train, joined_groups(train.rows, len(train.texts)), ranking)

    return find


def test_a_row_is_leaked_if_question_and_duplicate_are_in_one_joined_group(found):
    rows = ("leave vim\tquit vim\tx", "quit vim\topen ports\tx", "a\tb\tquit vim", "ports in use\topen ports\ty")
    assert found(*rows).leaked.tolist() == [0, 3]


def test_a_row_is_leaked_in_another_case_or_with_other_marks_at_its_end_too(found):
    rows = ("Leave  VIM?\tquit vim!\tx", "Quit vim\topen ports\tx", "Quit vim\tquit vim?\tx")
    overlap = found(*rows)
    assert overlap.leaked.tolist() == [0, 2] and overlap.sources.tolist() == [[4, 0], [0, 0]]


def test_shared_texts_are_counted_once_and_candidates_are_among_them(found):
    assert found("a\tb\tquit vim", "c\td\tquit vim\texit vim", "e\tf\tg").shared_texts == 2


def test_rows_with_a_text_twice_are_those_where_it_is_the_question_or_the_duplicate(found):
    rows = ("a\tb\ta", "a\tb\tc\tb", "a\ta\tc", "a\tb\tc\tc", "a\tb\tc")
    assert found(*rows).repeated.tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("rows", "alike"),
    [
        (["quit vim\texit vim\tleave vim\tclose vim", "open ports\tlist ports\tports in use"], True),
        (["quit vim\texit vim\tmount a disk\tuse apt", "open ports\tlist ports\tmake tea"], False),
        (
            ["\t".join(f"{first} vim now" for first in ("quit", "exit", "open", "start", "update", "buy", "see"))] * 2,
            False,
        ),
        (["quit vim\texit vim\tleave vim\tclose vim\tend vim", "open ports\tlist ports\tports in use"], True),
        (["\t".join(["quit vim", "exit vim", *(f"vim {number}" for number in range(20))])], False),
    ],
    ids=[
        "groups",
        "a ranking set",
        "five mined candidates a row",
        "groups of several sizes",
        "too many candidates for a group",
    ],
)
def test_rows_that_look_like_groups_are_noticed(tmp_path, rows, alike):
    (tmp_path / "validation.tsv").write_text("\n".join(rows))
    ranking = TokenStore(tmp_path / "validation.tsv", 3, "error", Cache(tmp_path / "cache"))
    assert (resembling_groups(ranking) is not None) == alike
