import gzip
import json

import polars as pl
import pytest

from askagain.errors import InputError
from askagain.search.questions import Question, QuestionColumns, read_questions, read_texts
from askagain.text.fields import Fields

ROWS = [
    {"post_id": 7, "title": "How to quit vim?", "body": "It\nhangs."},
    {"post_id": 9, "title": "List ports", "body": ""},
]
NONE = QuestionColumns()
ONE = '{"id": 1, "title": "a"}\n'


def write(folder, suffix, compressed=False):
    path = folder / f"posts{suffix}"
    if suffix == ".parquet":
        pl.DataFrame(ROWS).write_parquet(path)
        return path
    if suffix == ".jsonl":
        text = "".join(json.dumps(row) + "\n" for row in ROWS)
    else:
        mark = "\t" if suffix == ".tsv" else ","
        lines = [list(ROWS[0])] + [[str(cell).replace("\n", " ") for cell in row.values()] for row in ROWS]
        text = "\n".join(mark.join(line) for line in lines) + "\n"
    if compressed:
        path = folder / f"posts{suffix}.gz"
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text)
    return path


TABLES = [(".parquet", False), *((suffix, packed) for suffix in (".jsonl", ".tsv", ".csv") for packed in (False, True))]


@pytest.mark.parametrize(("suffix", "compressed"), TABLES)
def test_questions_of_tables_have_their_own_ids_and_title_and_body(tmp_path, suffix, compressed):
    path = write(tmp_path, suffix, compressed)
    assert list(read_questions(path, NONE)) == [
        Question("7", "How to quit vim?", "How to quit vim?"), Question("9", "List ports", "List ports"),
    ]  # fmt: skip
    both = list(read_questions(path, QuestionColumns(("title", "body"), "post_id")))
    assert both[0] == Question("7", "How to quit vim?", "How to quit vim? It hangs.")
    assert both[1] == Question("9", "List ports", "List ports")


def test_fields_of_the_encoder_are_read_as_such(tmp_path):
    fields = Fields(["title", "body"])
    (first, second) = read_questions(write(tmp_path, ".jsonl"), NONE, fields)
    assert first.text == "How to quit vim?" and first.encoded == fields.compose(ROWS[0])
    assert second.encoded == "List ports"


def test_lines_of_a_text_file_are_numbered_and_empty_ones_left_out(tmp_path):
    path = tmp_path / "titles.txt"
    path.write_bytes("\ufeffquit vim\r\n\n  list\tports \n".encode())
    assert [tuple(one)[:2] for one in read_questions(path, NONE)] == [("1", "quit vim"), ("3", "list\tports")]
    path.with_suffix(".txt.gz").write_bytes(gzip.compress(path.read_bytes()))
    assert read_texts(path.with_suffix(".txt.gz")) == read_texts(path) == ["quit vim", "list\tports"]


@pytest.mark.parametrize(
    ("content", "name", "columns", "said"),
    [
        ("", "a.txt", NONE, "a.txt is empty"),
        ("\n \n", "a.txt", NONE, "there is no question in it"),
        ("ok\n\xff\n", "a.txt", NONE, "line 2: not UTF-8"),
        (ONE + ONE, "a.jsonl", NONE, "line 2: the id 1 stands in line 1 as well"),
        ('{"id": "", "title": "a"}\n', "a.jsonl", NONE, "line 1: no id; give every question an id"),
        ('{"key": 1, "what": "a"}\n', "a.jsonl", NONE, r"which of its columns \(key, what\) is the text\? name it"),
        (ONE, "a.jsonl", QuestionColumns(("name",)), "no column name; its columns are id, title"),
        (ONE, "a.jsonl", QuestionColumns((), "key"), "no column key; its columns are id, title"),
        ('{"id": 1, "title": ["a"]}\n', "a.jsonl", NONE, "line 1: .* is no text; name another column"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_file_and_line(tmp_path, content, name, columns, said):
    (tmp_path / name).write_bytes(content.encode("latin-1"))
    with pytest.raises(InputError, match=said):
        list(read_questions(tmp_path / name, columns))
    with pytest.raises(InputError, match=r"missing\.txt does not exist"):
        list(read_questions(tmp_path / "missing.txt", columns))
