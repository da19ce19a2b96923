"""Reads word vectors from word2vec's binary format, through gensim."""

import zlib
from pathlib import Path

import numpy as np

from askagain.errors import InputError
from askagain.files.opened import head, is_gzip
from askagain.vectors.file_format import HEADER
from askagain.vectors.usable_table import log_duplicates, usable_table

HEADER_BYTES = 64  # enough for two 64-bit numbers in decimal


def read_binary(path: Path, limit: int | None) -> tuple[list[str], np.ndarray]:
    """The first `limit` words (None: all) and their table, [words, dim] float32; keeps the first of repeated words.

    Raises InputError for a file that ends too early or has another format, and for words that are not UTF-8.
    """
    from gensim.models import KeyedVectors
    from rich.console import Console

    n_promised = _promised_words(path, limit)
    try:
        with Console(stderr=True).status(f"reading {path.name}"):
            vectors = KeyedVectors.load_word2vec_format(str(path), binary=True, limit=limit)
    except EOFError:
        raise InputError(f"{path} ends before its {n_promised} words do: download it again") from None
    except UnicodeDecodeError:
        raise InputError(f"{path} holds a word that is not UTF-8, or is damaged: download it again") from None
    except (MemoryError, OSError, OverflowError, ValueError, zlib.error) as error:
        raise InputError(f"{path} cannot be read as word2vec binary ({error}): download it again") from error
    words = list(vectors.key_to_index)  # gensim's index_to_key and table keep empty rows for repeated words
    log_duplicates(len(vectors.vectors) - len(words), path)
    table = vectors.vectors[: len(words)]
    return words, usable_table(words, table, path, lambda row: f"{path}, word {row + 1}")


def _promised_words(path: Path, limit: int | None) -> int:
    """The number of words in the header; raises InputError where the file is too short for the first `limit` ones."""
    _refuse_misnamed_gzip(path)
    header = HEADER.fullmatch(head(path, HEADER_BYTES).partition(b"\n")[0])
    if header is None:
        raise InputError(f"{path} does not start with '<words> <dimension>': is it word2vec binary?")
    n_words, dim = int(header[1]), int(header[2])
    if not n_words or not dim:
        raise InputError(f"{path} promises {n_words} words of dimension {dim}: download or save it again")
    n_bytes = min(n_words, limit or n_words) * dim * np.dtype(np.float32).itemsize
    if not is_gzip(path) and path.stat().st_size < n_bytes:
        raise InputError(f"{path} ends before its {n_words} words of dimension {dim} do: download it again")
    return n_words


def _refuse_misnamed_gzip(path: Path) -> None:
    """Raises InputError for a misleading name: gensim decides by the name whether to decompress."""
    if is_gzip(path) and path.suffix != ".gz":
        raise InputError(f"{path} is gzip data: rename it to {path.name}.gz")
    if path.suffix == ".gz" and not is_gzip(path):
        raise InputError(f"{path} is not gzip data: rename it to {path.stem}, or download it again")
