"""Tasks of MTEB on disk become ranking sets."""

import gzip
import json

import polars as pl
import pytest

from askagain.convert.mteb import read_reranking, reranking_rows, retrieval_rows
from askagain.errors import InputError

QUERIES = [
    {"query": "quit vim", "positive": ["leave vim", "exit vim"], "negative": ["list ports", "quit vim", "open\tports"]},
    {"query": "undo a merge", "positive": ["revert a merge"], "negative": ["list ports"]},
]
ROWS = [
    ["quit vim", "leave vim", "list ports", "open ports"],
    ["quit vim", "exit vim", "list ports", "open ports"],
    ["undo a merge", "revert a merge", "list ports"],
]


def test_each_positive_text_of_a_query_is_a_row_with_the_query_s_own_negatives(tmp_path):
    lines = "".join(json.dumps(query) + "\n" for query in QUERIES)
    (tmp_path / "test.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    (tmp_path / "dev.jsonl").write_text(lines.splitlines()[1] + "\n")
    found = {name: list(reranking_rows(queries)) for name, queries in read_reranking(tmp_path).items()}
    assert found == {"validation": ROWS[2:], "test": ROWS}


def test_a_task_as_the_hub_has_it_is_read_likewise(tmp_path):
    (tmp_path / "data").mkdir()
    pl.DataFrame(QUERIES).write_parquet(tmp_path / "data" / "test-00000-of-00001.parquet")
    assert list(reranking_rows(read_reranking(tmp_path)["test"])) == ROWS


def test_a_retrieval_task_gives_a_row_for_each_query_without_its_other_duplicates(tmp_path):
    documents = ["leave vim", "exit vim", "revert a merge", "quit vim", *(f"list port {i}" for i in range(20))]
    (tmp_path / "corpus.jsonl").write_text(
        "".join(json.dumps({"_id": f"d{i}", "title": text, "text": "body"}) + "\n" for i, text in enumerate(documents))
    )
    (tmp_path / "queries.jsonl").write_text(
        "".join(json.dumps({"_id": f"q{i}", "text": query["query"]}) + "\n" for i, query in enumerate(QUERIES))
    )
    (tmp_path / "qrels").mkdir()
    (tmp_path / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq0\td0\t1\nq0\td1\t1\nq1\td2\t1\n")
    rows = retrieval_rows(tmp_path, candidates=8, guard=0.8, seed=0)["test"]
    assert [row[:2] for row in rows] == [["quit vim", "leave vim"], ["undo a merge", "revert a merge"]]
    for row in rows:
        assert len(row) == 10 and set(row[2:]) <= set(documents)
    assert not {"exit vim", "quit vim"} & set(rows[0][2:])
    assert rows == retrieval_rows(tmp_path, candidates=8, guard=0.8, seed=0)["test"]


def test_judgements_to_train_on_are_no_ranking_set_and_documents_too_close_to_all_make_no_row(tmp_path):
    (tmp_path / "corpus.jsonl").write_text('{"_id": "d", "text": "leave vim"}\n{"_id": "e", "text": "vim leave"}\n')
    (tmp_path / "queries.jsonl").write_text('{"_id": "q", "text": "quit vim"}\n')
    for split in ("train", "test"):
        (tmp_path / f"{split}.tsv").write_text("query-id\tcorpus-id\tscore\nq\td\t1\n")
    assert retrieval_rows(tmp_path, candidates=8, guard=0.8, seed=0) == {"test": []}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("other.txt", "x", "no test.jsonl.gz"),
        ("test.jsonl", '{"query": "a"}\n', "line 1: should have query, positive"),
        ("test.jsonl", '{"query": ["a"], "positive": "b", "negative": "c"}\n', "line 1: .* is no text"),
    ],
)
def test_a_folder_that_is_no_task_is_one_line(tmp_path, name, content, message):
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=message):
        read_reranking(tmp_path)
