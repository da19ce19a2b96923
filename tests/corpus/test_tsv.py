import gzip
import logging

import pytest

from askagain.corpus.tsv import read_rows
from askagain.errors import InputError


def rows_of(read):
    return [[read.texts[i] for i in read.rows.bag(row)] for row in range(len(read.rows))]


def write(tmp_path, content: bytes, name="train.tsv"):
    path = tmp_path / name
    path.write_bytes(content)
    return path


PLAIN = "How?\tHow\tWarum ä?\nHow?\tOther\n".encode()
EXPECTED = [["How?", "How", "Warum ä?"], ["How?", "Other"]]


@pytest.mark.parametrize(
    "content",
    [
        PLAIN,
        b"\xef\xbb\xbf" + PLAIN,
        PLAIN.replace(b"\n", b"\r\n"),
        PLAIN.rstrip(b"\n"),
        PLAIN + b"\n\n",
        gzip.compress(b"\xef\xbb\xbf" + PLAIN),
    ],
    ids=["lf", "byte-order mark", "crlf", "no last newline", "blank lines at the end", "gzip"],
)
def test_every_form_of_the_file_reads_the_same(tmp_path, content):
    read = read_rows(write(tmp_path, content), 2)
    assert rows_of(read) == EXPECTED
    assert read.texts == ["How?", "How", "Warum ä?", "Other"]


def test_line_separators_other_than_lf_and_quotes_are_text(tmp_path):
    path = write(tmp_path, 'a\u2028b\x0bc\t"x\n"y"\t\'z\n'.encode())
    assert rows_of(read_rows(path, 2)) == [["a\u2028b\x0bc", '"x'], ['"y"', "'z"]]


BAD = {
    "too few columns": (b"a\tb\nalone\nc\td\n", r"line 2: 1 column, at least 2 needed"),
    "empty cell": (b"a\tb\nc\td\ne\t \tf\n", r"line 3: column 2 is empty"),
    "empty last cell": (b"a\tb\t\nc\td\n", r"line 1: column 3 is empty"),
    "blank line between": (b"a\tb\n\n\nc\td\n", r"line 2: the line is empty"),
    "carriage return within": (b"a\tb\nc\rd\te\n", r"line 2: a carriage return within the line"),
    "not UTF-8": (b"a\tb\nc\td\nca\xe9\tx\n", r"line 3: byte 3 of the line is not UTF-8"),
}


@pytest.mark.parametrize(("content", "message"), BAD.values(), ids=BAD)
def test_a_bad_row_is_named_with_file_and_line(tmp_path, content, message):
    with pytest.raises(InputError, match=rf"train\.tsv, {message}.*on_bad_row=skip"):
        read_rows(write(tmp_path, content), 2)


@pytest.mark.parametrize(("content", "message"), BAD.values(), ids=BAD)
def test_bad_rows_are_skipped_counted_and_logged_where_asked_for(tmp_path, content, message, caplog):
    with caplog.at_level(logging.WARNING):
        read = read_rows(write(tmp_path, content), 2, on_bad_row="skip")
    bad = 2 if b"\n\n\n" in content else 1
    assert read.skipped == bad
    assert len(read.rows) == content.count(b"\n") - bad
    assert f"skipped {bad} bad rows of {content.count(b'%c' % 10)}" in caplog.text


@pytest.mark.parametrize("content", ["a\tb\n".encode("utf-16"), b"PK\x03\x04rest", b"BZh9rest"])
def test_utf_16_and_packed_files_are_told_from_bad_lines(tmp_path, content):
    with pytest.raises(InputError, match="convert or unpack it"):
        read_rows(write(tmp_path, content), 2, "skip")


def test_without_a_separator_a_line_is_one_text(tmp_path):
    assert read_rows(write(tmp_path, b"a\tb\nc\n"), 1, separator=None).texts == ["a\tb", "c"]


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"nothing\.tsv does not exist"):
        read_rows(tmp_path / "nothing.tsv", 2)


def test_a_folder_is_named(tmp_path):
    with pytest.raises(InputError, match="is a folder"):
        read_rows(tmp_path, 2)


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\xef\xbb\xbf", gzip.compress(b"")])
def test_an_empty_file_is_named(tmp_path, content):
    with pytest.raises(InputError, match=r"is empty|only blank lines"):
        read_rows(write(tmp_path, content), 2)


def test_a_file_with_bad_rows_only_is_named(tmp_path):
    with pytest.raises(InputError, match="all 2 rows are bad"):
        read_rows(write(tmp_path, b"a\nb\n"), 2, on_bad_row="skip")


def test_a_damaged_gzip_file_is_named(tmp_path):
    packed = gzip.compress(PLAIN * 1000)
    with pytest.raises(InputError, match="damaged or incomplete gzip"):
        read_rows(write(tmp_path, packed[: len(packed) // 2]), 2)


def test_another_way_with_bad_rows_is_refused(tmp_path):
    with pytest.raises(InputError, match="error, skip"):
        read_rows(write(tmp_path, PLAIN), 2, on_bad_row="ignore")
