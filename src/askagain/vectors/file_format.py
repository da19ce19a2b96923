"""Detects the format of a vector file from its first bytes."""

import re
from pathlib import Path

from askagain.errors import InputError
from askagain.files.opened import BYTE_ORDER_MARK, head

SAMPLE_BYTES = 1 << 16
HEADER = re.compile(rb"[ \t]*(\d{1,18})[ \t]+(\d{1,18})[ \t\r]*")  # "<number of words> <dimension>"
CONTROL_BYTES = bytes({*range(0x20)} - {*b"\t\n\r"})  # frequent in float32 data, rare in text
PICKLE_MAGIC = b"\x80"
NUMPY_MAGIC = b"\x93NUMPY"
ZIP_MAGIC = b"PK\x03\x04"


def detected_format(path: Path) -> str:
    """The format of the content, decompressed where it is gzip, whatever the file's name.

    A pickle is a gensim save. A first line of two whole numbers is a word2vec header: the format is text where the
    first line after it, or most lines of the first 64 KiB, are a word and as many numbers as it promises, else binary.
    Any other file is GloVe text if it has such lines, or at least no control characters. Raises InputError for
    everything else.
    """
    sample = head(path, SAMPLE_BYTES).removeprefix(BYTE_ORDER_MARK)
    if sample.startswith(PICKLE_MAGIC):
        return "gensim"
    if sample.startswith(NUMPY_MAGIC):
        raise InputError(f"{path} is a bare array without words: name the .kv file it belongs to")
    if sample.startswith(ZIP_MAGIC):
        raise InputError(f"{path} is a zip archive: unpack it and name one of the files in it")
    is_whole = len(sample) < SAMPLE_BYTES
    first, _, rest = sample.partition(b"\n")
    header = HEADER.fullmatch(first)
    if header is not None:
        is_text = _has_vector_lines(rest, int(header[2]), is_whole) or not has_control_bytes(rest)
        return "word2vec_text" if is_text else "word2vec_binary"
    if has_control_bytes(sample) and not _has_vector_lines(sample, len(fields(first)) - 1, is_whole):
        raise InputError(f"{path} holds no word vectors: give a word2vec, GloVe or gensim .kv file")
    return "glove"


def fields(line: bytes) -> list[bytes]:
    """The parts of a line between spaces and tabs; other white space belongs to words."""
    return [field for field in line.rstrip(b"\r\n").replace(b"\t", b" ").split(b" ") if field]


def is_number(field: bytes) -> bool:
    """Whether a field is a number as files of vectors write it."""
    try:
        float(field)
    except ValueError:
        return False
    return b"_" not in field  # Python's numbers may have it


def has_control_bytes(content: bytes) -> bool:
    """Whether text would not hold some of these bytes."""
    return len(content.translate(None, delete=CONTROL_BYTES)) < len(content)


def _has_vector_lines(content: bytes, dim: int, is_whole: bool) -> bool:
    """Whether the first line, or most lines, are a word and `dim` numbers. A cut line at the end is not looked at."""
    lines = content.split(b"\n")
    lines = [line for line in (lines if is_whole else lines[:-1]) if line.strip()]
    good = [dim > 0 and len(parts := fields(line)) > dim and all(map(is_number, parts[-dim:])) for line in lines[:100]]
    return bool(good) and (good[0] or 2 * sum(good) > len(good))
