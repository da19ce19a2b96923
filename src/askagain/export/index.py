"""The vectors of texts in the indexes of faiss and usearch; the id of a text is its line number, from 0."""

import shutil
from pathlib import Path

import numpy as np

from askagain.errors import InputError
from askagain.export.lines import read_lines
from askagain.export.packages import needed
from askagain.export.request import Encode, Request
from askagain.models.bag_encoder import unit_vectors

FAISS, USEARCH, TEXTS = "index.faiss", "index.usearch", "texts.txt"


def write_faiss(request: Request, path: Path) -> None:
    """Writes an `IndexFlatIP` of unit vectors, whose scores are cosines, and a copy of the texts."""
    faiss = needed("faiss", "search")
    vectors = _vectors(request)
    path.mkdir()
    index = faiss.IndexFlatIP(vectors.shape[1])
    index.add(vectors)
    faiss.write_index(index, str(path / FAISS))
    _copy_texts(request, path)


def write_usearch(request: Request, path: Path) -> None:
    """Writes an index by cosine of float32 vectors, and a copy of the texts."""
    package = needed("usearch.index")
    vectors = _vectors(request)
    path.mkdir()
    index = package.Index(ndim=vectors.shape[1], metric="cos", dtype="f32")
    index.add(np.arange(len(vectors), dtype=np.uint64), vectors)
    index.save(str(path / USEARCH))
    _copy_texts(request, path)


def read_faiss(_request: Request, path: Path) -> Encode:
    """The vectors in an index, all of them, whatever texts are asked for."""
    index = needed("faiss", "search").read_index(str(path / FAISS))
    return lambda _texts: index.reconstruct_n(0, index.ntotal)


def read_usearch(_request: Request, path: Path) -> Encode:
    """The vectors in an index, all of them, whatever texts are asked for."""
    index = needed("usearch.index").Index.restore(str(path / USEARCH), view=False)
    return lambda _texts: np.asarray(index.get(np.arange(len(index), dtype=np.uint64)), dtype=np.float32)


def _vectors(request: Request) -> np.ndarray:
    """The unit vectors of the texts, [texts, dim] float32."""
    if request.texts is None:
        raise InputError("an index needs texts; give a file of one a line with --texts FILE")
    return unit_vectors(request.encoder.encode(read_lines(request.texts)))


def _copy_texts(request: Request, path: Path) -> None:
    if request.texts is not None:
        shutil.copyfile(request.texts, path / TEXTS)
