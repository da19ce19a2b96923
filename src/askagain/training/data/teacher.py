"""A teacher's vectors of the training texts: embedded once, resumable after a kill, then memory-mapped."""

import hashlib
import importlib.util
import json
import logging
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
from numpy.lib.format import open_memmap

from askagain.corpus.cache import Cache
from askagain.errors import InputError
from askagain.files.arrays import load_array
from askagain.files.json_files import distinct_strings, write_json
from askagain.files.progress import progress_bar
from askagain.files.writing import write_text
from askagain.models.other_packages import INSTALL_SENTENCE_TRANSFORMERS, SentenceTransformerEncoder
from askagain.text.fields import readable

VECTORS = "vectors.npy"
DONE = "done.txt"  # how many texts are embedded, and the SHA-256 of their vectors; written after them
ROWS_AT_A_TIME = 1 << 14  # read to be checked
WORDS = "words.json"
WORD_STARTS = ("\u2581", "\u0120")  # how SentencePiece and byte-level BPE mark a piece that begins a word

log = logging.getLogger(__name__)


class Teacher(Protocol):
    """Embeds texts, [len(texts), dim]; `fingerprint` is a digest of everything that its vectors depend on.

    A teacher may also have `words`, a function that returns the words that it knows as a whole.
    """

    @property
    def fingerprint(self) -> str: ...

    def encode(self, texts: Sequence[str]) -> np.ndarray: ...


class SentenceTransformerTeacher:
    """A model of sentence-transformers, loaded at its first use.

    Args:
        model: a folder, or the name of a model on the Hugging Face Hub, which is downloaded at its first use.
        revision: of a model on the Hub, None for the newest.
        prompt: put before every text, None for nothing.
        batch_size: texts embedded at a time.
    """

    def __init__(
        self, model: str, revision: str | None = None, prompt: str | None = None, batch_size: int = 64
    ) -> None:
        self.model = model
        self.revision = revision
        self.prompt = prompt
        self.batch_size = batch_size

    @cached_property
    def fingerprint(self) -> str:
        """A digest of the folder's files, or of the name and revision of a model on the Hub; and of the prompt."""
        digest = hashlib.sha256(repr((self.prompt, self.revision)).encode())
        folder = Path(self.model).expanduser()
        if not folder.is_dir():
            digest.update(self.model.encode())
            return digest.hexdigest()
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
        return digest.hexdigest()

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        return self._encoder.encode(texts)

    def words(self) -> list[str]:
        """The pieces of its tokenizer that are whole words, in letters and digits, lower-cased and distinct."""
        pieces = self._encoder.model.tokenizer.get_vocab()
        marked = [piece for piece in pieces if piece.startswith(WORD_STARTS)]
        # WordPiece marks what goes on a word, other tokenizers mark what begins one.
        words = [piece[1:] for piece in marked] if marked else pieces
        return sorted({word.lower() for word in words if len(word) > 1 and word.isalnum()})

    @cached_property
    def _encoder(self) -> SentenceTransformerEncoder:
        return SentenceTransformerEncoder(self.model, self.batch_size, revision=self.revision, prompt=self.prompt)


def packaged_teacher(package: str, folder: str, batch_size: int = 64) -> SentenceTransformerTeacher:
    """The model in a folder of a Python package, which is not imported; raises InputError if either is missing."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise InputError(f"package={package}: no such package is installed; {INSTALL_SENTENCE_TRANSFORMERS}")
    path = Path(spec.submodule_search_locations[0]) / folder
    if not path.is_dir():
        raise InputError(f"folder={folder}: no such folder in the package {package}, {path.parent}")
    return SentenceTransformerTeacher(str(path), batch_size=batch_size)


class EmbeddedTexts(Protocol):
    """Distinct texts to embed; `texts` gives those from `start` up to `stop`, and entries of `cache` depend on them."""

    @property
    def cache(self) -> Cache: ...

    def __len__(self) -> int: ...

    def texts(self, start: int, stop: int) -> list[str]: ...


class WordList:
    """Words as texts of their own, with entries in `cache` that depend on them alone."""

    def __init__(self, words: Sequence[str], cache: Cache) -> None:
        self._words = list(words)
        digest = hashlib.sha256("\n".join(self._words).encode("utf-8", "surrogatepass")).hexdigest()
        self.cache = Cache(cache.folder, {"words": digest})

    def __len__(self) -> int:
        return len(self._words)

    def texts(self, start: int, stop: int) -> list[str]:
        return self._words[start:stop]


def teacher_words(teacher: Teacher, cache: Cache) -> list[str]:
    """The words that a teacher knows as a whole, from the cache; none where it does not say."""

    def build(folder: Path) -> None:
        write_json(folder / WORDS, teacher.words() if hasattr(teacher, "words") else [])

    def load(folder: Path) -> list[str]:
        return list(distinct_strings(json.loads((folder / WORDS).read_bytes()), WORDS))

    return Cache(cache.folder, {}).entry("teacher-words", {"teacher": teacher.fingerprint}, build, load)


def teacher_vectors(
    teacher: Teacher, texts: EmbeddedTexts, dtype: str, texts_per_write: int = 512, first: np.ndarray | None = None
) -> np.ndarray:
    """The teacher's vectors of all `texts`, scaled to length 1: [texts, dim], memory-mapped from the cache.

    Args:
        teacher: embeds the texts that are not in the cache yet.
        texts: distinct texts.
        dtype: of the cached vectors, `float16` or `float32`.
        texts_per_write: texts embedded between two writes, which is what a kill costs; the next call resumes there.
        first: the vectors of the first texts, where there are some already.

    Raises:
        InputError: the teacher does not give one finite row a text.
    """

    def build(folder: Path) -> None:
        rows, written, digest = _resumed(folder, len(texts), dtype)
        if rows is None and first is not None:
            rows = open_memmap(folder / VECTORS, "w+", dtype, (len(texts), first.shape[1]))
            rows[: len(first)] = first
            rows.flush()
            written = len(first)
            digest.update(rows[:written].tobytes())
            write_text(folder / DONE, [f"{written} {digest.hexdigest()}"])
        with progress_bar() as bar:
            task = bar.add_task("texts embedded by the teacher", total=len(texts), completed=written)
            for start in range(written, len(texts), texts_per_write):
                piece = [readable(text) for text in texts.texts(start, start + texts_per_write)]
                vectors = _unit_rows(teacher.encode(piece), len(piece))
                if rows is None:
                    rows = open_memmap(folder / VECTORS, "w+", dtype, (len(texts), vectors.shape[1]))
                rows[start : start + len(piece)] = vectors
                rows.flush()
                digest.update(rows[start : start + len(piece)].tobytes())
                write_text(folder / DONE, [f"{start + len(piece)} {digest.hexdigest()}"])
                bar.advance(task, len(piece))

    def load(folder: Path) -> np.ndarray:
        return load_array(folder / VECTORS, "r")

    key: dict[str, object] = {"teacher": teacher.fingerprint, "dtype": dtype}
    return texts.cache.entry("teacher", key, build, load, resumable=True)


class _Written(NamedTuple):
    """The array that vectors are written to (None: not made yet), how many of them are, and their SHA-256."""

    rows: np.memmap | None
    vectors: int
    digest: "hashlib._Hash"


def _resumed(folder: Path, texts: int, dtype: str) -> _Written:
    """What an embedding that was stopped has written; nothing where it is not what was written."""
    nothing = _Written(None, 0, hashlib.sha256())
    if not (folder / DONE).exists():
        return nothing
    try:
        number, expected = (folder / DONE).read_text(encoding="ascii").split()
        vectors, rows, digest = int(number), load_array(folder / VECTORS, "r"), hashlib.sha256()
        for start in range(0, vectors, ROWS_AT_A_TIME):
            digest.update(rows[start : min(start + ROWS_AT_A_TIME, vectors)].tobytes())
        if (digest.hexdigest(), len(rows), rows.dtype) == (expected, texts, dtype):
            return _Written(open_memmap(folder / VECTORS, mode="r+"), vectors, digest)
    except (OSError, ValueError, TypeError):
        pass  # damaged
    log.warning("%s: the vectors of a teacher that was stopped are damaged; it begins anew", folder)
    return nothing


def _unit_rows(vectors: np.ndarray, count: int) -> np.ndarray:
    vectors = np.asarray(vectors, dtype=np.float32)
    if vectors.ndim != 2 or len(vectors) != count or not np.isfinite(vectors).all():
        raise InputError(f"the teacher gives {vectors.shape} for {count} texts, or values that are not finite")
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), np.finfo(np.float32).tiny)
