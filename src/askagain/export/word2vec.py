"""The word table in the files of word2vec and gensim, for everything that takes word vectors."""

import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from askagain.export.packages import needed
from askagain.export.request import Encode, Request
from askagain.export.word_table import word_table

log = logging.getLogger(__name__)


def write_text(request: Request, path: Path) -> None:
    """Writes word2vec's text format: a word and its numbers a line."""
    _write(request, path, binary=False)


def write_binary(request: Request, path: Path) -> None:
    """Writes word2vec's binary format."""
    _write(request, path, binary=True)


def write_keyed_vectors(request: Request, path: Path) -> None:
    """Writes what gensim's `KeyedVectors.load` reads, as one file."""
    _keyed_vectors(request).save(str(path), sep_limit=sys.maxsize)  # else large tables go to a second file


def read_text(request: Request, path: Path) -> Encode:
    """Sums the vectors of words in a text file; see `_sums`."""
    return _sums(request, needed("gensim.models").KeyedVectors.load_word2vec_format(str(path), binary=False))


def read_binary(request: Request, path: Path) -> Encode:
    """Sums the vectors of words in a binary file; see `_sums`."""
    return _sums(request, needed("gensim.models").KeyedVectors.load_word2vec_format(str(path), binary=True))


def read_keyed_vectors(request: Request, path: Path) -> Encode:
    """Sums the vectors of words in a file of gensim; see `_sums`."""
    return _sums(request, needed("gensim.models").KeyedVectors.load(str(path)))


def _write(request: Request, path: Path, binary: bool) -> None:
    vectors = _keyed_vectors(request)
    for place, word in enumerate(vectors.index_to_key):
        vectors.set_vecattr(word, "count", len(vectors) - place)  # gensim writes the most frequent words first
    vectors.save_word2vec_format(str(path), binary=binary)


def _keyed_vectors(request: Request) -> Any:
    package = needed("gensim.models")
    words, rows = word_table(request.encoder, request.words)
    # A space ends a word in these files; protected terms may have one.
    is_one = np.array([" " not in word for word in words])
    if not is_one.all():
        log.warning("%d terms with a space in them are left out: these files cannot hold them", (~is_one).sum())
    vectors = package.KeyedVectors(request.encoder.dim)
    vectors.add_vectors([word for word in words if " " not in word], rows[is_one])
    return vectors


def _sums(request: Request, vectors: Any) -> Encode:
    """Adds the vectors of the words that the encoder's own preprocessor finds in a text."""

    def encode(texts: Sequence[str]) -> np.ndarray:
        sums = np.zeros((len(texts), vectors.vector_size), dtype=np.float32)
        for place, text in enumerate(texts):
            known = [vectors.key_to_index[w] for w in request.encoder.preprocessor.words(text) if w in vectors]
            sums[place] = vectors.vectors[known].sum(axis=0)
        return sums

    return encode
