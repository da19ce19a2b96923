"""Tables of many layouts become the groups of duplicates that they mean."""

import gzip
import json

import polars as pl
import pytest

from askagain.convert.beir import BeirFolder, read_beir
from askagain.convert.columns import Columns
from askagain.convert.layouts import read_groups, read_texts
from askagain.convert.questions import QuestionsBuilder
from askagain.errors import InputError

QUIT = {"quit vim", "leave vim"}
MERGE = {"undo a merge", "revert a merge"}


def groups_in(path, columns=None, quoted=None):
    """The groups of a table as sets of texts, and all texts."""
    builder = QuestionsBuilder()
    read_groups(path, columns or Columns(), builder, quoted)
    return joined(builder)


def joined(builder):
    questions = builder.join()
    groups = [questions.groups.bag(group).tolist() for group in range(len(questions.groups))]
    return [{questions.texts[text] for text in group} for group in groups], set(questions.texts)


LAYOUTS = {
    "groups.tsv": "quit vim\tleave vim\nundo a merge\trevert a merge\n",
    "groups.jsonl": '["quit vim", "leave vim"]\n["undo a merge", "revert a merge"]\n',
    "sets.jsonl": '{"set": ["quit vim", "leave vim"]}\n{"set": ["undo a merge", "revert a merge"]}\n',
    "query_pairs.jsonl": '{"query": "quit vim", "pos": ["leave vim"]}\n'
    '{"query": "undo a merge", "pos": ["revert a merge"], "neg": ["list ports"]}\n',
    "triplets.csv": "anchor,positive,negative\nquit vim,leave vim,list ports\nundo a merge,revert a merge,open ports\n",
    "quora.csv": "id,qid1,qid2,question1,question2,is_duplicate\n"
    '0,1,2,"quit vim","leave vim",1\n1,3,4,"undo a merge","revert a merge",1\n2,1,3,"quit vim","undo a merge",0\n',
    "titles.csv": "id,title,cluster_id\n1,quit vim,a\n2,undo a merge,b\n3,leave vim,a\n4,revert a merge,b\n5,ports,\n",
    "links.csv": "id,title,duplicate_of\n1,quit vim,\n2,undo a merge,\n3,leave vim,1\n4,revert a merge,2\n",
    "named.tsv": "question\tduplicate\nquit vim\tleave vim\nundo a merge\trevert a merge\n",
    "list.json": '[{"anchor": "quit vim", "positive": "leave vim"},\n'
    ' {"anchor": "undo a merge", "positive": "revert a merge"}]',
}


@pytest.mark.parametrize("name", LAYOUTS)
@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
def test_each_layout_gives_the_groups_that_it_means(tmp_path, name, packed):
    path = tmp_path / (f"{name}.gz" if packed else name)
    content = LAYOUTS[name].encode()
    path.write_bytes(gzip.compress(content) if packed else content)
    groups, _ = groups_in(path)
    assert groups == [QUIT, MERGE]


@pytest.mark.parametrize("name", ["pairs.parquet", "pairs.arrow"])
def test_columnar_files_are_read(tmp_path, name):
    table = pl.DataFrame({"sentence1": ["quit vim", "undo a merge"], "sentence2": ["leave vim", "revert a merge"]})
    if name.endswith("parquet"):
        table.write_parquet(tmp_path / name)
    else:
        table.write_ipc(tmp_path / name)
    assert groups_in(tmp_path / name)[0] == [QUIT, MERGE]


def test_a_data_set_that_datasets_saved_is_read(tmp_path):
    """Streams of Arrow in folders by split, and files of its own cache beside them."""
    for split, row in (("train", ["quit vim", "leave vim"]), ("test", ["undo a merge", "revert a merge"])):
        folder = tmp_path / "saved" / split
        folder.mkdir(parents=True)
        table = pl.DataFrame({"anchor": row[:1], "positive": row[1:]})
        table.write_ipc_stream(folder / "data-00000-of-00001.arrow")
        pl.DataFrame({"anchor": ["other"], "positive": ["thing"]}).write_ipc_stream(folder / "cache-1.arrow")
        (folder / "state.json").write_text("{}")
    (tmp_path / "saved" / "dataset_dict.json").write_text("{}")
    assert sorted(map(sorted, groups_in(tmp_path / "saved")[0])) == sorted(map(sorted, [QUIT, MERGE]))


@pytest.mark.parametrize("as_parquet", [False, True], ids=["files", "hub"])
def test_queries_and_their_relevant_documents_are_duplicates(tmp_path, as_parquet):
    corpus = [{"_id": "a", "title": "", "text": "leave vim"}, {"_id": "b", "title": "revert a merge", "text": "long"}]
    corpus.append({"_id": "c", "title": "", "text": "list ports"})
    queries = [{"_id": "1", "text": "quit vim"}, {"_id": "2", "text": "undo a merge"}]
    qrels = [("1", "a", 1), ("2", "b", 2), ("2", "c", 0)]
    if as_parquet:
        for name, rows in (("corpus", corpus), ("queries", queries)):
            (tmp_path / name).mkdir()
            pl.DataFrame(rows).write_parquet(tmp_path / name / "test-00000-of-00001.parquet")
        (tmp_path / "data").mkdir()
        table = pl.DataFrame(qrels, schema=["query-id", "corpus-id", "score"], orient="row")
        table.write_parquet(tmp_path / "data" / "test-00000-of-00001.parquet")
    else:
        for name, rows in (("corpus", corpus), ("queries", queries)):
            (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        (tmp_path / "qrels").mkdir()
        lines = ["query-id\tcorpus-id\tscore", *("\t".join(map(str, row)) for row in qrels)]
        (tmp_path / "qrels" / "test.tsv").write_text("\n".join(lines) + "\n")
    assert BeirFolder.is_in(tmp_path)
    builder = QuestionsBuilder()
    read_beir(tmp_path, builder)
    groups, texts = joined(builder)
    assert groups == [QUIT, MERGE] and "list ports" in texts


def test_texts_of_pairs_that_are_no_duplicates_are_kept_as_other_texts(tmp_path):
    path = tmp_path / "quora.csv"
    path.write_text("question1,question2,is_duplicate\na b,a c,1\na b,x y,0\nx y,x z,0\n")
    groups, texts = groups_in(path)
    assert groups == [{"a b", "a c"}] and texts == {"a b", "a c", "x y", "x z"}


def test_pairs_that_share_a_text_are_one_group_whatever_its_case_and_end_marks(tmp_path):
    path = tmp_path / "pairs.tsv"
    path.write_text("How to quit vim?\tleave vim\nhow to  quit VIM\texit vim\nundo\trevert\n")
    assert groups_in(path)[0] == [{"How to quit vim?", "leave vim", "exit vim"}, {"undo", "revert"}]


def test_cells_of_several_lines_become_texts_of_one(tmp_path):
    path = tmp_path / "pairs.csv"
    path.write_text('question1,question2\n"quit\nvim","leave\tvim"\nundo a merge,revert a merge\n')
    assert groups_in(path)[0] == [QUIT, MERGE]


def test_quotation_marks_of_titles_are_no_quotes_of_a_table(tmp_path):
    path = tmp_path / "groups.tsv"
    path.write_text('"quit vim" fails\t"leave vim\nundo a "merge"\trevert a merge\n')
    assert groups_in(path)[0] == [{'"quit vim" fails', '"leave vim'}, {'undo a "merge"', "revert a merge"}]


def test_a_quoted_tsv_file_is_known_by_its_cells(tmp_path):
    path = tmp_path / "quora.tsv"
    path.write_text('question1\tquestion2\n"what is ""vi""?"\t"vi: what?"\n"undo a merge"\t"revert a merge"\n')
    assert groups_in(path)[0] == [{'what is "vi"?', "vi: what?"}, MERGE]


def test_a_byte_order_mark_and_other_line_ends_do_no_harm(tmp_path):
    path = tmp_path / "pairs.csv"
    path.write_bytes(b"\xef\xbb\xbfquestion1,question2\r\nquit vim,leave vim\r\nundo a merge,revert a merge\r\n")
    assert groups_in(path)[0] == [QUIT, MERGE]


def test_other_texts_come_from_lines_or_from_a_column(tmp_path):
    (tmp_path / "titles.txt").write_text("list ports\n\nopen\tports\n")
    (tmp_path / "titles.csv").write_text("id,title\n1,close ports\n")
    builder = QuestionsBuilder()
    read_texts(tmp_path / "titles.txt", Columns(), builder)
    read_texts(tmp_path / "titles.csv", Columns(), builder)
    questions = builder.join()
    assert list(questions.texts) == ["list ports", "open ports", "close ports"] and questions.also_unlabelled.all()


@pytest.mark.parametrize(
    ("name", "content", "columns", "message"),
    [
        ("a.csv", "x,y\n1,2\n", Columns(), "which of its columns"),
        ("a.csv", "question1,question2\na\n", Columns(), "a.csv, line 2: 1 cells, and 2 columns"),
        ("a.csv", 'question1,question2\na,"b\n', Columns(), "a.csv, line 2"),
        ("a.csv", "question1,question1\na,b\n", Columns(), "two columns have one name"),
        ("a.csv", "question1,question2,label\na,b,maybe\n", Columns(), "line 2: label='maybe' says neither yes nor no"),
        ("a.csv", "question1,question2,date\na,b,soon\n", Columns(), "line 2: date='soon' is no date"),
        ("a.csv", "question1,question2\na,b\n", Columns(texts=("question1", "other")), "no column other"),
        ("a.tsv", "a\tb\n", Columns(texts=("x", "y")), "no column x; its columns are 1, 2"),
        ("a.tsv", "a\tb\n", Columns(label="x"), "have no names"),
        ("a.jsonl", '{"query": "a"\n', Columns(), "a.jsonl, line 1: no JSON"),
        ("a.jsonl", '["a", "b"]\n7\n', Columns(), "a.jsonl, line 2: neither an object nor a list"),
        ("a.xls", "a\tb\n", Columns(), "no known kind of table"),
        ("a.parquet", "PAR1", Columns(), "cannot be read as parquet"),
        ("a.csv", "question1,question2\na,b\n\xe9", Columns(), "not UTF-8"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path, name, content, columns, message):
    path = tmp_path / name
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(InputError) as refused:
        groups_in(path, columns)
    assert message in str(refused.value) and "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", '["a", "b"]\n{"question": "a"}\n', "line 2: an object, where the lines before it are lists"),
        ("a.jsonl", '["a", "b"]\n["a", {"text": "b"}]\n', r"line 2: \"{'text': 'b'}\" is no text"),
        ("a.jsonl", '{"question1": "a", "question2": {"text": "b"}}\n', r"line 1: \"{'text': 'b'}\" is no text"),
        ("a.csv", b"question1,question2\n" + b"a,b\n" * 9000 + b"caf\xe9,c\n", "line 9002: not UTF-8"),
        ("a.csv", "question1,question2,group\na,b,c\n", "--group group is for one column of texts"),
        ("a.csv", "question1,question2,label\na,b,1\n", "--label question1 is a column of texts"),
    ],
)
def test_what_is_no_text_and_what_would_be_ignored_is_refused(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    columns = Columns(group="group") if "--group" in message else Columns()
    columns = Columns(label="question1") if "--label" in message else columns
    with pytest.raises(InputError, match=message):
        groups_in(tmp_path / name, columns)


def test_a_list_of_json_may_begin_with_a_byte_order_mark(tmp_path):
    (tmp_path / "list.json").write_text(LAYOUTS["list.json"], encoding="utf-8-sig")
    assert groups_in(tmp_path / "list.json")[0] == [QUIT, MERGE]


def test_halves_of_characters_are_dropped_and_texts_like_files_are_left_out_and_counted(tmp_path):
    rows = [
        ["quit \ud83d vim", "leave vim"],
        ["undo a merge", "x" * (1 << 20) + "y"],
        ["undo a merge", "revert a merge"],
    ]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, rows)))
    builder = QuestionsBuilder()
    read_groups(tmp_path / "a.jsonl", Columns(), builder)
    assert builder.counts["texts of more than 1,048,576 bytes left out"] == 1
    assert joined(builder)[0] == [QUIT, MERGE]
