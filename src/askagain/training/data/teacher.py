"""A teacher's vectors of the training texts: embedded once, in pieces that survive a kill, and then memory-mapped."""

import hashlib
import importlib.util
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np

from askagain.corpus.text_union import TextUnion
from askagain.errors import InputError
from askagain.files.npy import NpyRows
from askagain.files.progress import progress_bar
from askagain.models.other_packages import INSTALL, SentenceTransformerEncoder

TEXTS_A_PIECE = 512  # embedded between two writes: what a kill may cost
VECTORS = "vectors.npy"
EXTRA = INSTALL["sentence-transformers"]


class Teacher(Protocol):
    """Anything that embeds texts, and can say in what it differs from other teachers."""

    @property
    def fingerprint(self) -> str:
        """A digest of what its vectors depend on, for cache keys."""

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """[len(texts), dim] numbers."""


class SentenceTransformerTeacher:
    """A model of sentence-transformers, loaded when it is first asked for a vector.

    `model`: a folder, or the name of a model on the Hugging Face Hub (of `revision`, None for the newest), which is
    downloaded at its first use. `prompt`: put before every text, None for nothing. `batch_size`: texts at a time.
    Raises InputError where the model or the package is missing.
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
        """[len(texts), dim] float32."""
        return self._encoder.encode(texts)

    @cached_property
    def _encoder(self) -> SentenceTransformerEncoder:
        return SentenceTransformerEncoder(self.model, self.batch_size, revision=self.revision, prompt=self.prompt)


def packaged_teacher(package: str, folder: str, batch_size: int = 64) -> SentenceTransformerTeacher:
    """The model in a `folder` of a Python package, which is not imported. Raises InputError where it is not there."""
    found = importlib.util.find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise InputError(f"package={package}: no such package here: {EXTRA}")
    path = Path(found.submodule_search_locations[0]) / folder
    if not path.is_dir():
        raise InputError(f"folder={folder}: no such folder in the package {package}, {path.parent}")
    return SentenceTransformerTeacher(str(path), batch_size=batch_size)


def teacher_vectors(teacher: Teacher, texts: TextUnion, dtype: str) -> np.ndarray:
    """The teacher's vectors of all `texts`, scaled to length 1: [texts, dim], memory-mapped from the cache.

    `dtype`: `float16` or `float32`. They are written piece by piece; where that was ended, the next call goes on.
    Raises InputError for a teacher that gives other than one finite row a text.
    """

    def build(folder: Path) -> None:
        with NpyRows(folder / VECTORS, len(texts), dtype) as rows, progress_bar() as bar:
            task = bar.add_task("texts embedded by the teacher", total=len(texts), completed=rows.written)
            for start in range(rows.written, len(texts), TEXTS_A_PIECE):
                piece = texts.texts(start, start + TEXTS_A_PIECE)
                rows.append(_units(teacher.encode(piece), len(piece)))
                bar.advance(task, len(piece))

    key: dict[str, object] = {"teacher": teacher.fingerprint, "dtype": dtype}
    return texts.entry("teacher", key, build, _opened, resumable=True)


def _opened(folder: Path) -> np.ndarray:
    return np.load(folder / VECTORS, mmap_mode="r", allow_pickle=False)


def _units(vectors: np.ndarray, count: int) -> np.ndarray:
    vectors = np.asarray(vectors, dtype=np.float32)
    if vectors.ndim != 2 or len(vectors) != count or not np.isfinite(vectors).all():
        raise InputError(f"the teacher gives {vectors.shape} for {count} texts, or values that are not finite")
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), np.finfo(np.float32).tiny)
