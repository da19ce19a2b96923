"""`askagain describe` through the console script: what it counts, and what it says."""

import json

import pytest

from askagain.corpus.near_duplicates import near_duplicates
from askagain.describe.scripts import language_shares, script_shares
from askagain.text.terms import are_near, terms
from tests.cli.conftest import refused


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A corpus with something wrong of each kind."""
    monkeypatch.setenv("ASKAGAIN_CACHE", str(tmp_path / "cache"))
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    groups = [
        "quit vim\tleave vim\texit vim",
        "undo a merge\trevert a merge",
        "how to list open ports here\tshow ports",
    ]
    (corpus / "train.tsv").write_text("\n".join(groups) + "\n")
    rows = [
        "quit vim\tleave vim\tlist ports\tother",  # trained on
        "how to list open ports here now\tnetstat alternatives\tother\tmore",  # close to a training text
        "mount disks\tattach volumes\tmount disks\tother",  # its question twice, no common word
    ]
    (corpus / "validation.tsv").write_text("\n".join(rows) + "\n")
    return corpus


def test_everything_is_counted(askagain, folder):
    answer = askagain("describe", folder, "--json")
    assert answer.status == 0, answer
    facts = json.loads(answer.out)
    assert facts["group_sizes"] == {"2": 2, "3": 1}
    train, _ = facts["files"]
    assert (train["lines"], train["texts"], train["words"][2]) == (3, 7, 6)
    (ranking,) = facts["rankings"]
    assert {name: ranking[name] for name in ("rows", "leaked", "repeated", "near")} == {
        "rows": 3, "leaked": 1, "repeated": 1, "near": 2,
    }  # fmt: skip
    assert ranking["candidates"] == [2, 2] and ranking["apart"] == pytest.approx(2 / 3)
    assert facts["shared"] == [["validation.tsv", "train.tsv", 2]]
    assert ranking["unknown_words"] == pytest.approx(7 / 17)


def test_rows_with_a_text_twice_are_counted_without_a_training_set_too(askagain, folder):
    (folder / "train.tsv").unlink()
    assert json.loads(askagain("describe", folder, "--json").out)["rankings"][0]["repeated"] == 1


def test_what_is_wrong_is_said_with_what_to_do(askagain, folder):
    answer = askagain("describe", folder)
    assert answer.status == 0 and not answer.err
    for said in (
        "1 of 3 rows are trained on",
        "such as 'how to list open ports here now' and 'how to list open ports here'",
        "1 of 3 rows hold their question or duplicate twice",
        "an MRR on them is sure to no more than ±0.45",
        "67% of the duplicates share no content word",
        "no corpus.txt",
        "no test.tsv",
        "3 groups are few",
    ):
        assert said in answer.out, said


def test_a_figure_is_drawn(askagain, folder, tmp_path):
    pytest.importorskip("matplotlib")
    assert askagain("describe", folder, "--figure", tmp_path / "facts.png").status == 0
    assert (tmp_path / "facts.png").read_bytes().startswith(b"\x89PNG")
    assert ".png, .svg, .pdf" in refused(askagain("describe", folder, "--figure", tmp_path / "facts.xls"))


@pytest.mark.parametrize(("name", "message"), [("nowhere", "no such folder"), ("empty", "none of train.tsv")])
def test_a_folder_without_a_corpus_is_one_line(askagain, tmp_path, name, message):
    (tmp_path / "empty").mkdir()
    assert message in refused(askagain("describe", tmp_path / name))


def test_all_near_duplicates_are_found_that_comparing_each_with_each_finds():
    import itertools
    import random

    rng = random.Random(7)
    vocabulary = [f"w{i}" for i in range(12)]
    texts = [" ".join(rng.sample(vocabulary, rng.randint(1, 8))) for _ in range(120)]
    asked, others = texts[:40], texts[40:]
    for threshold in (0.5, 0.8, 1.0):
        expected = {
            (i, j)
            for (i, one), (j, other) in itertools.product(enumerate(asked), enumerate(others))
            if are_near(terms(one), terms(other), threshold)
        }
        assert set(near_duplicates(asked, others, threshold, "")) == expected and expected


def test_scripts_are_told_by_letters():
    shares = script_shares(["abc", "дом", "漢字仮名", "かな", "שלום", "\U0001f600", "123 ?!"])
    assert shares == pytest.approx(
        {"Chinese": 4 / 17, "Hebrew": 4 / 17, "Latin": 3 / 17, "Cyrillic": 3 / 17, "Hiragana": 2 / 17, "Emoji": 1 / 17}
    )


def test_languages_are_told_where_the_package_is_there():
    pytest.importorskip("py3langid")
    texts = ["Как мне установить новую программу на свой компьютер и почему это не получается?"] * 3 + [
        "How do I install a program on my computer?"
    ]
    assert list(language_shares(texts)) == ["ru", "en"]
