"""Whatever a file holds, a reader gives a result or one line of ours, soon and within bounded memory.

Examples are mutations of whole files and made-up bytes; those that once failed are tried first, as `@example`.
"""

import gzip
import io
import json
import pickle
import resource
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from askagain.apps.sweep import read_metrics
from askagain.corpus.tsv import header, read_rows
from askagain.errors import InputError
from askagain.files.arrays import load_array
from askagain.files.checksums import DamagedError, check_files, write_checksums
from askagain.files.sealed_zip import check_seal, seal
from askagain.models.bag_encoder import BagEncoder
from askagain.models.checkpoint import checkpoint_entry
from askagain.models.folder import load_encoder, save_encoder
from askagain.text.cleaning import cleaned
from askagain.text.features import Features
from askagain.text.ngrams import NgramTokenizer
from askagain.text.preprocessor import TextPreprocessor
from askagain.text.stop_words import stop_words
from askagain.text.vocabulary import WordVocabulary
from askagain.vectors.sources import vector_file

pytestmark = pytest.mark.slow

MOST_BYTES = 512 << 20  # beyond the input


def cases(count: int) -> Callable[..., Any]:
    """The settings of a test of so many examples, each of at most five seconds."""
    return settings(
        max_examples=count, deadline=5000, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
    )


def mutations(*whole: bytes) -> st.SearchStrategy[bytes]:
    """Whole files with a few bytes replaced, removed or added somewhere, and bytes of any kind."""
    edits = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 8), st.binary(max_size=8)), min_size=1, max_size=4)

    def edited(drawn: tuple[bytes, list[tuple[float, int, bytes]]]) -> bytes:
        content, changes = drawn
        for share, removed, added in changes:
            place = int(share * len(content))
            content = content[:place] + added + content[place + removed :]
        return content

    return st.one_of(st.tuples(st.sampled_from(whole), edits).map(edited), st.binary(max_size=200))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


@pytest.fixture(autouse=True)
def bounded_memory() -> Iterator[None]:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) << 10 < MOST_BYTES


def answered(read: Callable[[], Any]) -> Any:
    """What a reader gives, None where it refused with one line."""
    try:
        return read()
    except (InputError, DamagedError) as error:
        assert "\n" not in str(error)
        return None


TSV = b"how to mount a disk\tmount usb disk\nquit vim\texit vim\tleave vim\n"


@cases(6000)
@given(content=mutations(TSV, "\ufeffé\te\u0301\nа\tб\n".encode(), gzip.compress(TSV)), clean=st.booleans())
@example(content=b"\xff\xfe", clean=True)
@example(content=b"a\tb\n\x00\tc", clean=True)
@example(content=b"\r\n\r", clean=False)
@example(content=b"question\tduplicate", clean=True)
def test_tsv(folder: Path, content: bytes, clean: bool) -> None:
    path = folder / "train.tsv"
    path.write_bytes(content)

    def read() -> None:
        first_line = 1 if header(path) is None else 2
        for rows in read_rows(path, 2, "error", piece_bytes=16, clean=clean, first_line=first_line):
            assert rows.lengths.min() >= 2 and rows.lengths.sum() == len(rows.cells)
            assert "" not in rows.cells.to_list() and not any("\0" in cell for cell in rows.cells)

    answered(read)


@cases(2000)
@given(text=st.text(max_size=60))
def test_cleaning_is_done_once_and_for_all(text: str) -> None:
    once = cleaned(text)
    assert cleaned(once) == once
    assert TextPreprocessor("?!").words(once) == TextPreprocessor("?!").words(text)


@cases(2000)
@given(
    texts=st.lists(st.text(max_size=30) | st.sampled_from(["in\u200bstall C++!", "c++ ?", "cafe\u0301 The of"])),
    terms=st.sampled_from([[], ["c++"]]),
    clean=st.booleans(),
)
def test_texts_cleaned_together_have_the_words_of_each_alone(texts: list[str], terms: list[str], clean: bool) -> None:
    preprocessor = TextPreprocessor("?!", 2, ["the", "of"], protected_terms=terms, clean=clean)
    words, lengths = preprocessor.words_of_all(texts)
    alone = [preprocessor.words(text) for text in texts]
    assert lengths.tolist() == [len(own) for own in alone] and words == [word for own in alone for word in own]


NUMBERS = np.arange(4, dtype=np.float32)
BINARY = b"2 4\nthe " + NUMBERS.tobytes() + b"\nof " + NUMBERS.tobytes() + b"\n"
TEXT = b"2 3\nthe 1 2 3\nof 4 5e-3 -6\n"


@cases(6000)
@given(
    content=mutations(BINARY, TEXT, TEXT.partition(b"\n")[2], gzip.compress(BINARY)),
    limit=st.none() | st.integers(1, 3),
)
@example(content=b"1 3\nthe " + bytes(12) + b"\nof " + bytes(12), limit=None)
@example(content=b"999999999999 999999999999\na 1", limit=None)
@example(content=b"\xef\xbb\xbf1 1\na 1", limit=1)
def test_vectors(folder: Path, content: bytes, limit: int | None) -> None:
    path = folder / "some.vectors"
    path.write_bytes(content)
    read = answered(lambda: vector_file(path, limit=limit))
    if read is not None:
        assert read.table.shape == (len(read.words), read.dim) and np.isfinite(read.table).all()
        assert len(set(read.words)) == len(read.words) <= (limit or len(read.words))


def gensim_save() -> bytes:
    from gensim.models import KeyedVectors

    vectors = KeyedVectors(2)
    vectors.add_vectors(["a", "b"], np.ones((2, 2), dtype=np.float32))
    return pickle.dumps(vectors, protocol=4)


@cases(3000)
@given(content=mutations(gensim_save(), b"\x80\x04]r\x00\x00\x00\x0c."))
@example(content=b"\x80\x04]r\xff\xff\xff\x7f.")
@example(content=b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\x00.")
def test_gensim_saves(folder: Path, content: bytes) -> None:
    path = folder / "some.kv"
    path.write_bytes(content)
    answered(lambda: vector_file(path, "gensim"))


def npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=True)
    return file.getvalue()


@cases(1000)
@given(content=mutations(npy(np.ones((3, 2), dtype=np.float32)), npy(np.array([{"a": 1}], dtype=object))))
@example(content=b"\x93NUMPY\x01\x00v\x00{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2" + b" " * 60 + b"\n")
def test_arrays(folder: Path, content: bytes) -> None:
    (folder / "some.npy").write_bytes(content)
    try:
        array = load_array(folder / "some.npy")
    except (ValueError, OSError):
        return
    assert array.dtype.kind != "O"


QUESTIONS = ["mount a disk", "vim?"]


def small_encoder() -> BagEncoder:
    features = Features("words_trigrams", WordVocabulary(["disk", "vim"]), NgramTokenizer(["#di", "im#"]))
    return BagEncoder(TextPreprocessor("?"), features, torch.arange(12.0).reshape(4, 3))


@cases(1000)
@given(data=st.data())
def test_encoders_whose_checksums_were_made_to_fit(folder: Path, data: st.DataObject) -> None:
    save_encoder(small_encoder(), folder / "encoder")
    path = data.draw(st.sampled_from(sorted((folder / "encoder").glob("[!c]*"))))
    path.write_bytes(data.draw(mutations(path.read_bytes(), b"[" * 20_000, b'["\\ud800"]')))
    write_checksums(folder / "encoder")
    encoder = answered(lambda: load_encoder(folder / "encoder"))
    if encoder is not None:
        assert encoder.encode(QUESTIONS).shape == (2, encoder.dim)


@pytest.fixture(scope="module")
def checkpoint(folder: Path) -> bytes:
    """A sealed checkpoint of `small_encoder`."""
    encoder, path = small_encoder(), folder / "whole.ckpt"
    entry = checkpoint_entry(encoder, "table", None)
    torch.save({"state_dict": {"table": torch.from_numpy(encoder.table.rows)}, "encoder": entry}, path)
    seal(path)
    return path.read_bytes()


@cases(500)
@given(data=st.data())
def test_checkpoints(folder: Path, checkpoint: bytes, data: st.DataObject) -> None:
    path = folder / "some.ckpt"
    path.write_bytes(data.draw(st.just(checkpoint) | mutations(checkpoint)))
    answered(lambda: check_seal(path))
    encoder = answered(lambda: load_encoder(path))
    assert encoder is not None or path.read_bytes() != checkpoint
    if encoder is not None:
        assert np.array_equal(encoder.encode(QUESTIONS), small_encoder().encode(QUESTIONS))


FIGURES = b'{"val/mrr": 0.5}\n'


@pytest.fixture(scope="module")
def sums(folder: Path) -> bytes:
    """Checksums that fit `FIGURES`."""
    write_checksums(folder, {"metrics.json": FIGURES})
    return (folder / "checksums.json").read_bytes()


@cases(1000)
@given(data=st.data())
def test_figures(folder: Path, sums: bytes, data: st.DataObject) -> None:
    content = data.draw(st.just(FIGURES) | mutations(FIGURES)), data.draw(st.just(sums) | mutations(sums))
    for name, part in zip(("metrics.json", "checksums.json"), content, strict=True):
        (folder / name).write_bytes(part)
    answered(lambda: check_files(folder, ["metrics.json"]))
    metrics = answered(lambda: read_metrics(folder))
    assert metrics == json.loads(FIGURES) or (metrics is None and content != (FIGURES, sums))


@cases(500)
@given(content=mutations("the\nof\nи\n".encode()))
def test_stop_words(folder: Path, content: bytes) -> None:
    path = folder / "stop words.txt"
    path.write_bytes(content)
    answered(lambda: stop_words(str(path)))


def test_json_of_any_depth_is_one_line(folder: Path) -> None:
    (folder / "metrics.json").write_text("[" * 200_000)
    write_checksums(folder, {"metrics.json": b"[" * 200_000})
    with pytest.raises(DamagedError):
        read_metrics(folder)
    assert json.loads((folder / "checksums.json").read_text())
