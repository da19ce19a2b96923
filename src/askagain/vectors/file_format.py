"""Detects the format of a vector file from its first bytes."""

import re
from pathlib import Path

from askagain.errors import InputError
from askagain.files.opened import head

SAMPLE_BYTES = 1 << 16
HEADER = re.compile(rb"[ \t]*(\d{1,18})[ \t]+(\d{1,18})[ \t\r]*")  # "<number of words> <dimension>"
CONTROL_BYTES = bytes({*range(0x20)} - {*b"\t\n\r"})  # frequent in float32 data, absent from text
PICKLE_MAGIC = b"\x80"
NUMPY_MAGIC = b"\x93NUMPY"
ZIP_MAGIC = b"PK\x03\x04"


def detected_format(path: Path) -> str:
    """The format of the content, decompressed where it is gzip, whatever the file's name.

    A pickle is a gensim save. A first line of two whole numbers is a word2vec header: the format is binary where the
    first 64 KiB hold a control character, else text. Any other file without control characters is GloVe text. Raises
    InputError for everything else.
    """
    sample = head(path, SAMPLE_BYTES)
    if sample.startswith(PICKLE_MAGIC):
        return "gensim"
    if sample.startswith(NUMPY_MAGIC):
        raise InputError(f"{path} is a bare array without words: name the .kv file it belongs to")
    if sample.startswith(ZIP_MAGIC):
        raise InputError(f"{path} is a zip archive: unpack it and name one of the files in it")
    first, _, rest = sample.partition(b"\n")
    if HEADER.fullmatch(first):
        return "word2vec_binary" if _has_control_bytes(rest) else "word2vec_text"
    if _has_control_bytes(sample):
        raise InputError(f"{path} holds no word vectors: give a word2vec, GloVe or gensim .kv file")
    return "glove"


def _has_control_bytes(content: bytes) -> bool:
    return len(content.translate(None, delete=CONTROL_BYTES)) < len(content)
