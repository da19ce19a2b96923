"""Cells and tokens in C beside the same in Python, on lines with all that lines can have in them."""

import unicodedata

import numpy as np
import pytest

from askagain.corpus import cells as cells_module
from askagain.corpus.cells import Cells, span_hashes, text_hashes
from askagain.corpus.tsv import WHITE_SPACE, _good_rows, read_rows
from askagain.native import library, store

SEED = 11
LETTERS = [
    "a",
    "B",
    "7",
    " ",
    "  ",
    "é",
    "日本",
    "😀",
    "\u200b",
    "\xa0",
    "\u3000",
    "\u2028",
    "\x85",
    "\x0b",
    "\x1f",
    "Â",
    "ã",
    "á",
]


pytestmark = pytest.mark.usefixtures("compiled")


def in_python(function, *arguments):
    """What a function gives without a library."""
    library.use("plain")
    try:
        return function(*arguments)
    finally:
        library.use("auto")
        assert store._library.loaded(wait=True) is not None


def contents(rows):
    """The cells of rows, their lengths and their hashes; None for rows that are bad."""
    return None if rows is None else (rows.cells.to_list(), rows.lengths.tolist(), rows.cells.hashes.tolist())


def random_lines(rng, count: int) -> bytes:
    def cell() -> str:
        return "".join(rng.choice(LETTERS, rng.integers(1, 30)))

    lines = ["\t".join(cell() for _ in range(rng.integers(2, 6))) for _ in range(count)]
    return rng.choice(["\n", "\r\n"]).join(lines).encode()


@pytest.mark.parametrize("clean", [True, False])
@pytest.mark.parametrize("separator", ["\t", None])
def test_lines_are_cut_as_python_cuts_them(separator, clean):
    print(f"seed {SEED}")
    rng = np.random.default_rng(SEED)
    good = 0
    for _ in range(300):
        piece = random_lines(rng, 12)
        own = _good_rows(piece, 2 if separator else 1, separator, clean)
        expected = in_python(_good_rows, piece, 2 if separator else 1, separator, clean)
        assert contents(own) == contents(expected), piece
        good += own is not None
    assert good > 30 and (good < 300 or separator is None)


BAD = {
    "too few cells": b"a\tb\nc\nd\te",
    "an empty cell": b"a\tb\nc\t \te",
    "an empty line": b"a\tb\n\nc\td",
    "nothing": b"",
    "a NUL": b"a\tb\0\nc\td",
    "a carriage return within": b"a\tb\nc\rd\te",
    "two carriage returns": b"a\tb\r\r\nc\td",
    "a cell of white space": "a\tb\n\u3000\u2028\td".encode(),
    "a long cell": b"a\t" + b"b" * ((1 << 20) + 1),
}


@pytest.mark.parametrize("piece", BAD.values(), ids=BAD)
def test_bad_lines_are_bad_in_c_as_well(piece):
    assert _good_rows(piece, 2, "\t", True) is None
    assert in_python(_good_rows, piece, 2, "\t", True) is None


@pytest.mark.parametrize(
    "piece",
    [b"a\tb\r", b"a\tb\r\nc\td\r\n e\tf", b"a\tb\t" + b"c" * (1 << 20), "a\u2028b\tc\x0bd".encode(), b"\x1ca \t\x1fb"],
    ids=["a last carriage return", "windows", "as long as may be", "separators within", "separators around"],
)
def test_good_lines_are_good(piece):
    own = contents(_good_rows(piece, 2, "\t", True))
    assert own is not None and own == contents(in_python(_good_rows, piece, 2, "\t", True))


def test_other_separators_are_left_to_python():
    assert _good_rows(b"a,b\nc,d", 2, ",", True).cells.to_list() == ["a", "b", "c", "d"]


def test_white_space_around_cells_is_pythons(tmp_path):
    assert {character for character in map(chr, range(0x11000)) if character.isspace()} == set(WHITE_SPACE)
    for character in set(WHITE_SPACE) - set("\t\n\r"):
        piece = f"{character}a{character}b{character}\t{character}{character}é{character}".encode()
        assert _good_rows(piece, 2, "\t", False).cells.to_list() == [f"a{character}b", "é"], unicodedata.name(
            character, "?"
        )
    for character in map(chr, [*range(0x80, 0x3100), 0xE000, 0xFFFD, 0x1F600]):  # what begins or ends alike
        if not character.isspace():
            assert _good_rows(f"{character}\t{character}".encode(), 2, "\t", False).cells.to_list() == [character] * 2


def test_plain_bytes_are_told_from_all_others():
    for byte in range(256):
        plain = bytes([byte]).isascii() and (chr(byte).isprintable() or chr(byte).isspace())
        for at in (0, 17, 63):
            data = bytearray(b"x" * 64)
            data[at] = byte
            assert store.is_plain(bytes(data)) == plain


def test_tokens_are_the_pieces_between_spaces():
    rng = np.random.default_rng(SEED)
    texts = [
        "",
        " ",
        "  a  ",
        "one",
        "x" * 40,
        *("".join(rng.choice(LETTERS, rng.integers(0, 60))) for _ in range(500)),
    ]
    cells = Cells.of(texts)
    for tokens, lengths in (cells.tokens(), in_python(cells.tokens)):
        assert tokens.to_list() == [token for text in texts for token in text.split(" ")]
        assert lengths.tolist() == [text.count(" ") + 1 for text in texts]
        assert tokens.hashes.tolist() == text_hashes(tokens.to_list()).tolist()
    taken = cells.take(np.array([4, 3, 3]))
    assert taken.lines().decode() == f"{'x' * 40}\none\none\n" and taken[0] == "x" * 40 and len(taken) == 3
    again = cells.take(np.array([len(texts) - 1] * 300))  # more than the text has room for once
    for tokens, lengths in (again.tokens(), in_python(again.tokens)):
        assert tokens.to_list() == 300 * texts[-1].split(" ") and lengths.tolist() == 300 * [texts[-1].count(" ") + 1]
    tokens, lengths = in_python(cells.take(np.empty(0, dtype=np.int64)).tokens)
    assert len(tokens) == len(lengths) == 0


def plain_hash(data: bytes) -> int:
    mixed = len(data) * int(cells_module.LENGTH_FACTOR) % 2**64
    for start in range(0, len(data), 8):
        mixed = (mixed ^ int.from_bytes(data[start : start + 8], "little")) * int(cells_module.WORD_FACTOR) % 2**64
        mixed ^= mixed >> 32
    mixed = mixed * int(cells_module.LENGTH_FACTOR) % 2**64
    return mixed ^ mixed >> 32


def test_hashes_are_the_same_everywhere_and_all_different():
    rng = np.random.default_rng(SEED)
    texts = ["", "a", "\0", "a\0", "half of a character \ud800", *(f"{i:x}" * (i % 23) + "." for i in range(20_000))]
    texts += ["".join(rng.choice(LETTERS, 200)) for _ in range(50)] + [
        "x" * length for length in range(1000, 9000, 999)
    ]
    expected = [plain_hash(text.encode("utf-8", "surrogatepass")) for text in texts]
    assert text_hashes(texts).tolist() == expected
    assert in_python(text_hashes, texts).tolist() == expected
    assert len(set(expected)) == len(set(texts))
    assert text_hashes(["how do i quit vim?"]).tolist() == [10300031424258000296]
    assert len(span_hashes(b"", np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64))) == 0


def test_low_bits_of_hashes_differ_where_letters_do():
    """They choose the slot of a token; words that begin alike must not crowd together."""
    texts = [f"{start}{number}" for start in ("a", "word", "question") for number in range(20_000)]
    slots = np.bincount((text_hashes(texts) & np.uint64(4095)).astype(np.int64), minlength=4096)
    assert slots.std() < 1.2 * (len(texts) / 4096) ** 0.5  # as if they were drawn


def test_a_file_is_read_alike_with_and_without_a_library(tmp_path):
    path = tmp_path / "train.tsv"
    path.write_bytes(random_lines(np.random.default_rng(SEED), 3000).replace("\u200b".encode(), b"x"))
    settings = {"on_bad_row": "skip", "piece_bytes": 5000}

    def read() -> list:
        return [contents(rows)[:2] for rows in read_rows(path, 2, **settings)]

    assert read() == in_python(read)
