"""Detects the format of a vector file from its first bytes."""

import re
from enum import StrEnum
from pathlib import Path

from askagain.errors import InputError
from askagain.files.opened import head

SAMPLE_BYTES = 1 << 16
HEADER = re.compile(rb"[ \t]*(\d{1,18})[ \t]+(\d{1,18})[ \t\r]*")  # "<number of words> <dimension>"
CONTROL_BYTES = bytes({*range(0x20)} - {*b"\t\n\r"})  # frequent in float32 data, absent from text
PICKLE_MAGIC = b"\x80"
NUMPY_MAGIC = b"\x93NUMPY"
ZIP_MAGIC = b"PK\x03\x04"


class FileFormat(StrEnum):
    """The formats of word vectors."""

    WORD2VEC_TEXT = "word2vec_text"
    WORD2VEC_BINARY = "word2vec_binary"
    GLOVE = "glove"
    GENSIM = "gensim"


def format_named(name: str, path: Path) -> FileFormat:
    """The format called `name`; `auto` detects it from the content of `path`.

    Raises InputError for an unknown name, and where no format is detected.
    """
    if name == "auto":
        return detected_format(path)
    try:
        return FileFormat(name)
    except ValueError:
        known = ", ".join(["auto", *FileFormat])
        raise InputError(f"'{name}' is no format of a vector file: choose one of {known}") from None


def detected_format(path: Path) -> FileFormat:
    """The format of the content, decompressed where it is gzip, whatever the file's name.

    A pickle is a gensim save. A first line of two whole numbers is a word2vec header: the format is binary where the
    first 64 KiB hold a control character, else text. Any other file without control characters is GloVe text. Raises
    InputError for everything else.
    """
    sample = head(path, SAMPLE_BYTES)
    if sample.startswith(PICKLE_MAGIC):
        return FileFormat.GENSIM
    if sample.startswith(NUMPY_MAGIC):
        raise InputError(f"{path} is a bare array without words: name the .kv file it belongs to")
    if sample.startswith(ZIP_MAGIC):
        raise InputError(f"{path} is a zip archive: unpack it and name one of the files in it")
    first, _, rest = sample.partition(b"\n")
    if HEADER.fullmatch(first):
        return FileFormat.WORD2VEC_BINARY if _has_control_bytes(rest) else FileFormat.WORD2VEC_TEXT
    if _has_control_bytes(sample):
        raise InputError(f"{path} holds no word vectors: give a word2vec, GloVe or gensim .kv file")
    return FileFormat.GLOVE


def _has_control_bytes(content: bytes) -> bool:
    return len(content.translate(None, delete=CONTROL_BYTES)) < len(content)
