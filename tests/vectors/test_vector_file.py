"""A vector file in any of the formats gives its words and numbers; a file that cannot be used is one clear line."""

import gzip
import logging
import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from askagain.errors import InputError
from askagain.vectors.sources import vector_file

FORMATS = ["word2vec_text", "word2vec_binary", "glove", "gensim"]


def written(vectors: Any, path: Path, format: str) -> Path:
    if format == "gensim":
        vectors.save(str(path))
    elif format == "glove":
        vectors.save_word2vec_format(str(path), write_header=False)
    else:
        vectors.save_word2vec_format(str(path), binary=format == "word2vec_binary")
    return path


def gzipped(path: Path) -> Path:
    packed = path.with_name(path.name + ".gz")
    packed.write_bytes(gzip.compress(path.read_bytes()))
    return packed


def text_file(tmp_path: Path, content: str | bytes, name: str = "vectors.txt") -> Path:
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def refusal(path: Path, **settings: Any) -> str:
    with pytest.raises(InputError) as caught:
        vector_file(path, **settings)
    message = str(caught.value)
    assert "\n" not in message
    assert str(path) in message
    return message


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("named", [True, False])
def test_every_format_gives_the_words_and_numbers_that_gensim_wrote(
    keyed_vectors: Any, tmp_path: Path, format: str, named: bool
) -> None:
    path = written(keyed_vectors, tmp_path / "some.vectors", format)
    vectors = vector_file(path, format=format if named else "auto")
    assert vectors.words == keyed_vectors.index_to_key
    assert vectors.table.dtype == np.float32
    np.testing.assert_array_equal(vectors.table, keyed_vectors.vectors)
    assert vectors.name == "some.vectors"


@pytest.mark.parametrize("format", FORMATS[:3])
def test_gzip_is_read_like_the_plain_file(keyed_vectors: Any, tmp_path: Path, format: str) -> None:
    vectors = vector_file(gzipped(written(keyed_vectors, tmp_path / "some.vectors", format)))
    assert vectors.words == keyed_vectors.index_to_key
    np.testing.assert_array_equal(vectors.table, keyed_vectors.vectors)


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("limit", [1, 4, 6, 100])
def test_a_limit_keeps_the_first_words(keyed_vectors: Any, tmp_path: Path, format: str, limit: int) -> None:
    vectors = vector_file(written(keyed_vectors, tmp_path / "some.vectors", format), limit=limit)
    assert vectors.words == keyed_vectors.index_to_key[:limit]
    np.testing.assert_array_equal(vectors.table, keyed_vectors.vectors[:limit])


def test_one_line_is_logged_of_what_was_read(
    keyed_vectors: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = written(keyed_vectors, tmp_path / "some.txt", "glove")
    with caplog.at_level(logging.INFO, logger="askagain"):
        vector_file(path)
    said = [record.getMessage() for record in caplog.records if record.name.startswith("askagain")]
    assert said == [f"some.txt: 6 words x 5 from {path}"]


@pytest.mark.parametrize(
    "content", ["4 2\na 1 2\nb 3 4\na 5 6\na 7 8\n", "a 1 2\nb 3 4\na 5 6\na 7 8\n"], ids=["word2vec", "glove"]
)
def test_of_equal_words_in_text_the_first_is_kept_and_the_others_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, content: str
) -> None:
    with caplog.at_level(logging.INFO, logger="askagain"):
        vectors = vector_file(text_file(tmp_path, content))
    assert vectors.words == ["a", "b"]
    assert vectors.table.tolist() == [[1, 2], [3, 4]]
    assert "2 duplicate words" in caplog.text


def test_of_equal_words_in_binary_the_first_is_kept_and_the_others_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    numbers = np.arange(6, dtype=np.float32).reshape(3, 2)
    content = b"3 2\n" + b"".join(b"%c %b\n" % (word, row.tobytes()) for word, row in zip(b"aba", numbers, strict=True))
    with caplog.at_level(logging.INFO, logger="askagain"):
        vectors = vector_file(text_file(tmp_path, content, "twice.bin"))
    assert vectors.words == ["a", "b"]
    np.testing.assert_array_equal(vectors.table, numbers[:2])
    assert "1 duplicate words" in caplog.text


def test_words_with_blanks_and_unusual_blanks_are_read_as_glove_writes_them(tmp_path: Path) -> None:
    vectors = vector_file(text_file(tmp_path, "the 1 2\n. . . 3 4\nto name@domain.com 5 6\n\u0085 7 8\n\u00a0 9 10\n"))
    assert vectors.words == ["the", ". . .", "to name@domain.com", "\u0085", "\u00a0"]
    assert vectors.table[:, 0].tolist() == [1, 3, 5, 7, 9]


def test_blank_line_ends_and_empty_lines_do_no_harm(tmp_path: Path) -> None:
    vectors = vector_file(text_file(tmp_path, "2 2\r\na 1 2 \r\n\nb\t3\t-4e-1\n\n"))
    assert vectors.words == ["a", "b"]
    np.testing.assert_allclose(vectors.table, np.array([[1, 2], [3, -0.4]]))


@pytest.mark.parametrize(
    ("content", "line", "said"),
    [
        ("a 1 2\nb 3\n", 2, "a word and 2 numbers but found 2 fields"),
        ("a 1 2\nb 3 4 5\n", 2, "a word and 2 numbers but found 4 fields"),
        ("2 2\na 1 2\nb 3\n", 3, "a word and 2 numbers"),
        ("a 1 2\nb 3 four\n", 2, "'four' is not a number"),
        ("a 1 2\nb 3 1_0\n", 2, "'1_0' is not a number"),
        ("a 1 2\nb 3 nan\n", 2, "'b' holds NaN or an infinite number"),
        ("a 1 2\n\na 0 0\nc 1e39 4\n", 4, "'c' holds NaN or an infinite number"),
        (b"a 1 2\nb\xff 3 4\n", 2, "not UTF-8"),
        ("5 2\na 1 2\nb 3 4\n", 1, "promises 5 words but 2 follow"),
        ("1 2\na 1 2\nb 3 4\n", 1, "promises 1 words but 2 follow"),
        ("0 2\n", 1, "promises no vectors"),
        ("just\n", 1, "expected a word and its numbers"),
    ],
)
def test_malformed_text_is_refused_with_its_line(tmp_path: Path, content: str | bytes, line: int, said: str) -> None:
    message = refusal(text_file(tmp_path, content))
    assert f"vectors.txt:{line}: " in message
    assert said in message


def test_glove_read_as_word2vec_names_the_missing_header(tmp_path: Path) -> None:
    assert ":1: expected '<words> <dimension>'" in refusal(text_file(tmp_path, "a 1 2\n"), format="word2vec_text")


def test_missing_folder_and_empty_are_told_apart(tmp_path: Path) -> None:
    assert "does not exist" in refusal(tmp_path / "absent.txt")
    assert "is a folder" in refusal(tmp_path)
    assert "is empty" in refusal(text_file(tmp_path, b""))


def test_truncated_binary_is_refused(keyed_vectors: Any, tmp_path: Path) -> None:
    path = written(keyed_vectors, tmp_path / "some.bin", "word2vec_binary")
    whole = path.read_bytes()
    for kept in (len(whole) // 2, len(whole) - 9):
        path.write_bytes(whole[:kept])
        assert "ends before its 6 words" in refusal(path)
        assert "ends before its 6 words" in refusal(gzipped(path))


def test_a_binary_header_that_promises_more_than_memory_is_refused_at_once(tmp_path: Path) -> None:
    assert "ends before its" in refusal(text_file(tmp_path, b"999999999999 300\na \0\0\0\0", "huge.bin"))


def test_binary_without_finite_numbers_or_utf8_is_refused(tmp_path: Path) -> None:
    row = np.array([1, np.inf], dtype=np.float32).tobytes()
    assert "'a' holds NaN or an infinite number" in refusal(text_file(tmp_path, b"1 2\na " + row, "inf.bin"))
    row = np.array([1, 2], dtype=np.float32).tobytes()
    assert "word 1: no word in UTF-8" in refusal(text_file(tmp_path, b"1 2\n\xff\xfe " + row, "latin.bin"))


@pytest.mark.parametrize("format", FORMATS[:3])
def test_truncated_gzip_is_refused(keyed_vectors: Any, tmp_path: Path, format: str) -> None:
    path = gzipped(written(keyed_vectors, tmp_path / "some.vectors", format))
    path.write_bytes(path.read_bytes()[:-20])
    assert "download it again" in refusal(path)


@pytest.mark.parametrize("format", FORMATS[:3])
def test_damaged_gzip_is_refused(keyed_vectors: Any, tmp_path: Path, format: str) -> None:
    path = gzipped(written(keyed_vectors, tmp_path / "some.vectors", format))
    content = bytearray(path.read_bytes())
    content[60:80] = bytes(20)
    path.write_bytes(content)
    assert "download it again" in refusal(path)


def test_a_compressed_header_that_promises_more_than_memory_is_refused(tmp_path: Path) -> None:
    path = gzipped(text_file(tmp_path, b"999999999999999999 300\na \0\0\0\0", "huge.bin"))
    assert "ends before its 999999999999999999 words do" in refusal(path)


def test_binary_is_read_by_its_content_whatever_its_name(keyed_vectors: Any, tmp_path: Path) -> None:
    packed = gzipped(written(keyed_vectors, tmp_path / "some.bin", "word2vec_binary"))
    plain_name = packed.rename(tmp_path / "packed.bin")
    gzip_name = Path(shutil.copy(tmp_path / "some.bin", tmp_path / "plain.bin.gz"))
    for path in (plain_name, gzip_name):
        np.testing.assert_array_equal(vector_file(path).table, keyed_vectors.vectors)


def numbers(*values: float) -> bytes:
    return np.array(values, dtype=np.float32).tobytes()


@pytest.mark.parametrize(
    ("content", "message"),
    {
        "too few words promised": (b"1 2\na " + numbers(1, 2) + b"\nb " + numbers(3, 4), "goes on after its 1 words"),
        "too few dimensions": (b"2 1\na " + numbers(1, 2) + b"\nb " + numbers(3, 4), "word 2: no word in UTF-8"),
        "a control character": (b"2 1\na " + numbers(1) + b"\x07b " + numbers(2), "word 2: no word in UTF-8"),
        "no word": (b"2 1\na " + numbers(1) + b" " + numbers(2), "word 2: no word in UTF-8"),
        "something after the last word": (b"1 1\na " + numbers(1) + b"\nmore", "goes on after its 1 words"),
    }.values(),
)
def test_binary_that_does_not_fit_its_header_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    assert message in refusal(text_file(tmp_path, content, "some.bin"), format="word2vec_binary")


@pytest.mark.parametrize("limit", [None, 2, 3])
def test_repeated_words_count_alike_in_text_and_in_binary(tmp_path: Path, limit: int | None) -> None:
    rows = [("a", 1.0), ("b", 2.0), ("a", 3.0), ("c", 4.0)]
    text = "4 1\n" + "".join(f"{word} {value}\n" for word, value in rows)
    binary = b"4 1\n" + b"".join(word.encode() + b" " + numbers(value) + b"\n" for word, value in rows)
    for content in (text, binary):
        read = vector_file(text_file(tmp_path, content, "some"), limit=limit)
        assert read.words == ["a", "b", "c"][:limit]
        assert read.table.ravel().tolist() == [1, 2, 4][:limit]


@pytest.mark.parametrize("header", ["", "3 4\n"])
@pytest.mark.parametrize(
    ("word", "read_as"),
    [("in\x02stall", "install"), ("\x0bvertical", "\x0bvertical"), ("\ufeffmarked", "marked"), ("\u00adfirst", None)],
)
def test_text_with_an_odd_character_in_a_word_is_text(tmp_path: Path, header: str, word: str, read_as: str) -> None:
    lines = "".join(f"{name} 0.5 -1 2 1e-3\n" for name in ("first", word, "last"))
    read = vector_file(text_file(tmp_path, header + lines))
    assert read.words == ["first", read_as or word, "last"]  # as texts are cleaned, unless that word is there already
    assert read.table.shape == (3, 4)


@pytest.mark.parametrize("header", ["", "1 2\n"])
def test_a_byte_order_mark_is_no_part_of_the_first_word(tmp_path: Path, header: str) -> None:
    assert vector_file(text_file(tmp_path, f"\ufeff{header}ubuntu 1 2\n")).words == ["ubuntu"]


def test_a_line_without_an_end_is_refused_before_it_is_read_whole(tmp_path: Path) -> None:
    assert ":1: longer than 4,194,304 bytes" in refusal(text_file(tmp_path, b"word" + b" 0" * (1 << 22)))


def test_archives_bare_arrays_and_other_binaries_are_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "glove.zip", "w") as archive:
        archive.writestr("glove.txt", "a 1 2\n")
    assert "unpack it" in refusal(tmp_path / "glove.zip")
    np.save(tmp_path / "some.kv.vectors.npy", np.zeros((2, 2)))
    assert ".kv file" in refusal(tmp_path / "some.kv.vectors.npy")
    assert "holds no word vectors" in refusal(text_file(tmp_path, bytes(range(64)), "noise.dat"))


def test_an_unknown_format_is_refused(tmp_path: Path) -> None:
    path = text_file(tmp_path, "a 1 2\n")
    with pytest.raises(InputError, match="not one of auto, word2vec_text, word2vec_binary, glove, gensim"):
        vector_file(path, format="fasttext")


def test_a_first_line_with_another_blank_than_a_space_is_the_one_that_is_named(tmp_path: Path) -> None:
    assert ":2: the blank before '1' is neither a space nor a tab" in refusal(
        text_file(tmp_path, "\nhow\u00a01 2\nto 3 4\n"), format="glove"
    )


def test_numbers_whose_sums_are_not_finite_are_refused(tmp_path: Path) -> None:
    said = refusal(text_file(tmp_path, "how 1 2\nto -3e38 1\n"))
    assert ":2: the vector of 'to' holds a number beyond 1,000,000,000: remove the word" in said
