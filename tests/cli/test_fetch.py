"""`askagain fetch` through the console script, from a server on this machine."""

import io
import json
import re
import zipfile

import pytest

from tests.cli.conftest import refused
from tests.fetch.conftest import server  # noqa: F401

TRAIN = "".join(f"question {i} about vim\tasking {i} of the editor\n" for i in range(40))
ROWS = "".join(f"question {i}\tasking {i}\tother {i}\tmore {i}\n" for i in range(5))


def zipped(**files):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, text in files.items():
            archive.writestr(name.replace("__", "/") + ".tsv", text)
    return content.getvalue()


@pytest.fixture
def catalogue(server, tmp_path, monkeypatch):  # noqa: F811
    """A catalogue of three data sets on the server."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ASKAGAIN_CACHE", str(tmp_path / "cache"))
    server.content["/course.zip"] = zipped(data__train=TRAIN, data__validation=ROWS)
    server.content["/pairs.tsv"] = "".join(
        f"duplicate\tq {i} a\tq {i} b\nnon-duplicate\tq {i} a\tx {i}\n" for i in range(30)
    ).encode()
    server.content["/glove.zip"] = zipped(glove="the 1 2 3\n")
    entries = [
        ("course", "folder", "course.zip", '[course.published."hits@1"]\n"a baseline" = 0.5\n'),
        ("labelled", "groups", "pairs.tsv", ""),
        ("glove", "vectors", "glove.zip", ""),
    ]
    text = ""
    for name, kind, file, more in entries:
        text += f'[{name}]\nabout = "a test"\nkind = "{kind}"\nlicence = "CC0"\n'
        text += 'columns = ["2", "3"]\nlabel = "1"\n' if kind == "groups" else ""
        text += f'[[{name}.files]]\nurl = "{server.url("/" + file)}"\nname = "{file}"\n{more}'
    (tmp_path / "catalogue.toml").write_text(text)
    monkeypatch.setenv("ASKAGAIN_CATALOGUE", str(tmp_path / "catalogue.toml"))
    return server


def test_an_archive_with_a_corpus_becomes_its_folder(askagain, catalogue, tmp_path):
    answer = askagain("fetch", "course")
    assert answer.status == 0, answer
    folder = tmp_path / "data" / "course"
    assert (folder / "train.tsv").read_text() == TRAIN and (folder / "validation.tsv").read_text() == ROWS
    assert json.loads((folder / "published.json").read_text()) == {"hits@1": {"a baseline": 0.5}}
    assert "Licence: CC0" in (folder / "README.md").read_text() and "licence: CC0" in answer.out
    assert "next: python train.py experiment=dssm data=tsv data.dir=data/course" in answer.out


def test_labelled_pairs_become_a_split(askagain, catalogue, tmp_path):
    assert askagain("fetch", "labelled", "-o", tmp_path / "out").status == 0
    lines = (tmp_path / "out" / "train.tsv").read_text().splitlines()
    held_out = (tmp_path / "out" / "validation.tsv").read_text().splitlines()
    assert len(lines) + 2 * len(held_out) == 30
    assert {frozenset(line.split("\t")) for line in lines} < {frozenset((f"q {i} a", f"q {i} b")) for i in range(30)}


def test_a_download_by_hand_needs_no_network(askagain, catalogue, tmp_path):
    (tmp_path / "mine.zip").write_bytes(catalogue.content["/course.zip"])
    assert askagain("fetch", "course", "--from", tmp_path / "mine.zip", "-o", tmp_path / "out").status == 0
    assert (tmp_path / "out" / "train.tsv").read_text() == TRAIN and not catalogue.asked


def test_published_metrics_stand_beside_those_of_a_run(askagain, command, catalogue, tmp_path):
    assert askagain("fetch", "course").status == 0
    words = ("ranker=bm25", "data=tsv", f"data.dir={tmp_path / 'data' / 'course'}")
    result = command("evaluate.py", *words)
    assert result.returncode == 0, result.stderr
    assert re.search(r"^hits@1: \d\.\d{4}; published: 0\.5000 a baseline$", result.stdout, re.MULTILINE)


def test_the_names_are_listed_with_their_licences(askagain):
    answer = askagain("fetch", "--list")
    assert answer.status == 0
    for name in ("stackoverflow_course", "quora", "stackexchange_duplicates", "askubuntu", "google_news", "glove_6b"):
        assert name in answer.out
    assert "PDDL" in answer.out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["curse"], "did you mean course?"),
        ([], "the name of a data set is needed"),
        (["course", "--from", "a", "--from", "b"], "--from: course is course.zip; give --from once for each"),
        (["course", "--from", "nowhere.zip"], "nowhere.zip does not exist"),
        (["course", "--from", "catalogue.toml"], "damaged or no zip archive"),
    ],
)
def test_a_mistake_is_one_line_and_nothing_is_written(askagain, catalogue, tmp_path, words, message):
    assert message in refused(askagain("fetch", *words))
    assert [path.name for path in tmp_path.iterdir()] in (["catalogue.toml"], ["catalogue.toml", "data"])


def test_an_archive_writes_nothing_outside_of_its_folder(askagain, catalogue, tmp_path):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("../../train.tsv", TRAIN)
        archive.writestr("/tmp/validation.tsv", ROWS)
    catalogue.content["/course.zip"] = content.getvalue()
    assert askagain("fetch", "course", "-o", tmp_path / "deep" / "out").status == 0
    assert {path.name for path in (tmp_path / "deep" / "out").iterdir()} >= {"train.tsv", "validation.tsv"}
    assert not (tmp_path / "train.tsv").exists()


def test_an_encrypted_archive_is_one_line(askagain, catalogue, tmp_path):
    content = bytearray(catalogue.content["/course.zip"])
    for mark, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):  # the flags, beside each file and in the index
        at = content.find(mark)
        while at >= 0:
            content[at + place] |= 1
            at = content.find(mark, at + 4)
    (tmp_path / "locked.zip").write_bytes(content)
    assert "encrypted" in refused(askagain("fetch", "course", "--from", tmp_path / "locked.zip"))


def test_vectors_are_unpacked_and_the_setting_is_told(askagain, catalogue, tmp_path):
    catalogue.content["/glove.zip"] = zipped(a="x").replace(b"a.tsv", b"a.txt")
    answer = askagain("fetch", "glove", "-o", tmp_path / "vectors")
    assert answer.status == 0 and (tmp_path / "vectors" / "a.txt").read_text() == "x"
    assert f"vectors=file vectors.path={tmp_path / 'vectors' / 'a.txt'}" in answer.out
