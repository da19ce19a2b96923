"""Training on title, body and tags through the commands."""

import csv
import json
import random
from pathlib import Path

import polars as pl
import pytest

import askagain
from askagain.corpus.cache import Cache
from askagain.corpus.field_table import FieldTable
from askagain.corpus.token_store import TokenStore
from askagain.text.fields import Fields, readable
from tests.end_to_end.conftest import QUICK, refused, succeeded

FIELDS = "data.fields=[title,body,tags]"


@pytest.fixture
def posts(tmp_path):
    """Questions whose titles say nothing; duplicates share a word of their bodies."""
    folder = tmp_path / "posts"
    folder.mkdir()
    topics = [f"topic{number}" for number in range(40)]
    rng = random.Random(5)
    titles = ["".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=8)) for _ in range(80)]
    pairs = list(zip(titles[::2], titles[1::2], strict=True))
    with (folder / "questions.jsonl").open("w") as file:
        for topic, pair in zip(topics, pairs, strict=True):
            for title in pair:
                file.write(json.dumps({"title": title, "body": f"about {topic}", "tags": ["x"], "id": 1}) + "\n")
    (folder / "train.tsv").write_text("".join("\t".join(pair) + "\n" for pair in pairs[:20]))
    rows = [[*pairs[row], *(pairs[other][1] for other in range(20, 40) if other != row)] for row in range(20, 40)]
    (folder / "validation.tsv").write_text("".join("\t".join(row) + "\n" for row in rows))
    (folder / "corpus.txt").write_text("".join(f"{title}\n" for pair in pairs[20:] for title in pair))
    return folder


def mrr(run):
    return json.loads((run / "metrics.json").read_text())["val/mrr"]


@pytest.mark.slow
def test_bodies_find_duplicates_whose_titles_share_nothing(command, posts, tmp_path):
    words = ("train.py", "experiment=dssm", "data=tsv", f"data.dir={posts}", "data.count_unlabelled=true", *QUICK)
    titles = succeeded(command(*words, "model.dim=64"))
    whole = succeeded(command(*words, "model.dim=64", FIELDS, "data.field_weights.body=5"))
    assert mrr(titles) < 0.4 and mrr(whole) > 0.8
    ranked = command("evaluate.py", f"encoder.path={whole}", "data=tsv", f"data.dir={posts}", FIELDS)
    assert mrr(succeeded_run(ranked)) == pytest.approx(mrr(whole), abs=1e-6)
    encoder = askagain.load(whole)
    one, other, third = encoder.encode(
        [{"title": "a", "body": "about topic3"}, {"title": "b", "body": "of topic3"}, {"title": "c", "body": "topic9"}]
    )
    assert one @ other > one @ third


def succeeded_run(result):
    """The folder that evaluate.py wrote its metrics into."""
    assert result.returncode == 0, result.stderr
    (line,) = [line for line in result.stdout.splitlines() if line.startswith("metrics: ")]
    return Path(line.removeprefix("metrics: ")).parent


def test_worst_questions_are_shown_by_their_titles_with_what_carried_them(command, posts):
    result = command("evaluate.py", "ranker=bm25", "data=tsv", f"data.dir={posts}", FIELDS, "data.split=validation")
    run = succeeded_run(result)
    with (run / "worst.tsv").open(encoding="utf-8") as file:
        text = file.read()
    assert "\ufdd1" not in text and "topic" not in "".join(
        row["text"] for row in csv.DictReader(text.splitlines(), delimiter="\t")
    )


def test_parquet_holds_the_fields_as_well(command, posts):
    pl.read_ndjson(posts / "questions.jsonl").write_parquet(posts / "questions.parquet")
    words = ("evaluate.py", "ranker=bm25", "data=tsv", f"data.dir={posts}", FIELDS)
    from_lines = mrr(succeeded_run(command(*words)))
    (posts / "questions.jsonl").unlink()
    assert mrr(succeeded_run(command(*words))) == from_lines > 0.9


def test_titles_without_a_question_are_counted_and_another_weight_reads_nothing_again(posts, tmp_path, caplog):
    with (posts / "train.tsv").open("a") as file:
        file.write("never asked\tnor this\n")
    cache = Cache(tmp_path / "own")

    def opened(weight):
        fields = Fields(["title", "body"], {"body": 9}, {"body": weight})
        table = FieldTable(posts / "questions.jsonl", fields, cache)
        return TokenStore(posts / "train.tsv", 2, "error", cache, fields=table)

    texts = list(opened(1.0).texts)
    assert "2 of 42 texts are no titles in" in caplog.text
    assert readable(texts[0]).endswith("about topic0") and texts[-1] == "nor this"
    before = {path.name for path in (tmp_path / "own").iterdir()}
    assert list(opened(0.5).texts) == texts
    assert {path.name for path in (tmp_path / "own").iterdir()} == before


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["data.fields=[title,body,votes]"], "no field votes; it has title, body, tags, id"),
        (["data.fields=[title,title]"], "must be different names"),
        (["data.fields=[]"], "must have 1 or more"),
        ([FIELDS, "data.field_weights.body=-1"], "must be above 0"),
        ([FIELDS, "data.questions_path=nowhere.jsonl"], "nowhere.jsonl"),
    ],
)
def test_a_mistake_is_one_line(command, posts, words, message):
    assert message in refused(command("evaluate.py", "ranker=bm25", "data=tsv", f"data.dir={posts}", *words))
