import gzip
import logging
import time
from itertools import islice

import pytest

from askagain.corpus.tsv import Rows, read_rows
from askagain.errors import InputError


def read_all(*arguments, **settings) -> list[Rows]:
    return list(read_rows(*arguments, **settings))


def rows_of(pieces):
    rows = []
    for piece in pieces:
        cells = iter(piece.cells.to_list())
        rows += [list(islice(cells, length)) for length in piece.lengths.tolist()]
    return rows


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
    read = read_all(write(tmp_path, content), 2)
    assert rows_of(read) == EXPECTED


def test_line_separators_other_than_lf_and_quotes_are_text(tmp_path):
    path = write(tmp_path, 'a\u2028b\x0bc\t"x\n"y"\t\'z\n'.encode())
    assert rows_of(read_all(path, 2)) == [["a\u2028b\x0bc", '"x'], ['"y"', "'z"]]


BAD = {
    "too few columns": (b"a\tb\nalone\nc\td\n", r"line 2: 1 column, at least 2 needed"),
    "empty cell": (b"a\tb\nc\td\ne\t \tf\n", r"line 3: column 2 is empty"),
    "empty last cell": (b"a\tb\t\nc\td\n", r"line 1: column 3 is empty"),
    "blank line between": (b"a\tb\n\n\nc\td\n", r"line 2: the line is empty"),
    "carriage return within": (b"a\tb\nc\rd\te\n", r"line 2: a carriage return within the line"),
    "a text like a file": (b"a\tb\nc\t" + b"d" * (1 << 20) + b"e\n", r"line 2: a text of 1,048,577 bytes"),
    "not UTF-8": (b"a\tb\nc\td\nca\xe9\tx\n", r"line 3: byte 3 of the line is not UTF-8"),
}


@pytest.mark.parametrize(("content", "message"), BAD.values(), ids=BAD)
def test_a_bad_row_is_named_with_file_and_line(tmp_path, content, message):
    with pytest.raises(InputError, match=rf"train\.tsv, {message}.*on_bad_row=skip"):
        read_all(write(tmp_path, content), 2)


@pytest.mark.parametrize(("content", "message"), BAD.values(), ids=BAD)
def test_bad_rows_are_skipped_counted_and_logged_where_asked_for(tmp_path, content, message, caplog):
    with caplog.at_level(logging.WARNING):
        read = read_all(write(tmp_path, content), 2, on_bad_row="skip")
    bad = 2 if b"\n\n\n" in content else 1
    assert sum(piece.skipped for piece in read) == bad
    assert len(rows_of(read)) == content.count(b"\n") - bad
    assert f"skipped {bad} bad rows of {content.count(b'%c' % 10)}" in caplog.text


@pytest.mark.parametrize("content", ["a\tb\n".encode("utf-16"), b"PK\x03\x04rest", b"BZh9rest"])
def test_utf_16_and_packed_files_are_told_from_bad_lines(tmp_path, content):
    with pytest.raises(InputError, match="convert or unpack it"):
        read_all(write(tmp_path, content), 2, "skip")


def test_without_a_separator_a_line_is_one_text(tmp_path):
    assert rows_of(read_all(write(tmp_path, b"a\tb\nc\n"), 1, separator=None)) == [["a\tb"], ["c"]]


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"nothing\.tsv does not exist"):
        read_all(tmp_path / "nothing.tsv", 2)


def test_a_folder_is_named(tmp_path):
    with pytest.raises(InputError, match="is a folder"):
        read_all(tmp_path, 2)


@pytest.mark.parametrize(
    "content",
    [b"", b"\n\n", b"\xef\xbb\xbf", gzip.compress(b"")],
    ids=["nothing", "line ends", "byte-order mark", "gzip of nothing"],
)
def test_an_empty_file_is_named(tmp_path, content):
    with pytest.raises(InputError, match=r"is empty|only blank lines"):
        read_all(write(tmp_path, content), 2)


def test_endless_blank_lines_are_told_at_once_with_the_first_of_them(tmp_path):
    path = write(tmp_path, gzip.compress(b"\xef\xbb\xbfa\tb\nc\td\n" + b"\r\n" * (40 << 20), compresslevel=1))
    began = time.monotonic()
    with pytest.raises(InputError, match=r"line 3: more than 1,048,576 bytes of blank lines"):
        read_all(path, 2)
    assert time.monotonic() - began < 1


def test_a_file_with_bad_rows_only_is_named(tmp_path):
    with pytest.raises(InputError, match="all 2 rows are bad"):
        read_all(write(tmp_path, b"a\nb\n"), 2, on_bad_row="skip")


def test_a_damaged_gzip_file_is_named(tmp_path):
    packed = gzip.compress(PLAIN * 1000)
    with pytest.raises(InputError, match="damaged or incomplete gzip"):
        read_all(write(tmp_path, packed[: len(packed) // 2]), 2)


def test_cells_lose_the_white_space_around_them_as_python_has_it(tmp_path):
    path = write(tmp_path, " a b\u00a0\t\u2003c\x1f\n\x1ed\te \n".encode())
    assert rows_of(read_all(path, 2)) == [["a b", "c"], ["d", "e"]]


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 64])
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_the_size_of_the_pieces_changes_nothing(tmp_path, size, ending):
    lines = [["How?", "Warum ä?", "x"], ["a", "b"], ["a long question indeed", "another\u2028one"], ["c", "d"]]
    path = write(tmp_path, (ending.join("\t".join(cells) for cells in lines) + 3 * ending).encode())
    assert rows_of(read_all(path, 2, piece_bytes=size)) == lines


@pytest.mark.parametrize("size", [1, 3, 8, 64])
def test_a_bad_line_is_numbered_from_the_start_of_the_file_whatever_the_pieces(tmp_path, size):
    with pytest.raises(InputError, match="line 4: the line is empty"):
        read_all(write(tmp_path, b"a\tb\nc\td\ne\tf\n\n\ng\th\n"), 2, piece_bytes=size)
    found = read_all(write(tmp_path, b"a\tb\nc\n\ne\tf\n\n"), 2, "skip", piece_bytes=size)
    assert rows_of(found) == [["a", "b"], ["e", "f"]]
    assert sum(piece.skipped for piece in found) == 2
