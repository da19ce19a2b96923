"""Encoders of other packages; a package is imported when its encoder is made."""

import logging
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from askagain.errors import InputError
from askagain.files.progress import counted_progress, draws_bars
from askagain.text.fields import readable

TEXTS_AT_A_TIME = 4_096  # so that a progress bar moves
INSTALL_SENTENCE_TRANSFORMERS = "pip install -r requirements-teacher.txt"


class _PackageEncoder(ABC):
    """An `Encoder` with the model of a package; each distinct text is encoded once.

    Other texts in a batch may change the last bits of a vector, but equal texts must have equal rows.
    """

    dim: int

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """[texts, dim] float32."""
        places: dict[str, int] = {}
        numbers = [places.setdefault(text, len(places)) for text in texts]
        if not numbers:
            return np.zeros((0, self.dim), dtype=np.float32)
        distinct = list(map(readable, places))
        starts: Iterable[int] = range(0, len(distinct), TEXTS_AT_A_TIME)
        if len(distinct) > TEXTS_AT_A_TIME:
            starts = counted_progress(starts, len(distinct), TEXTS_AT_A_TIME, "encoding")
        parts = [np.asarray(self._encode(distinct[start : start + TEXTS_AT_A_TIME])) for start in starts]
        return np.concatenate(parts).astype(np.float32, copy=False)[numbers]

    @abstractmethod
    def _encode(self, texts: list[str]) -> np.ndarray:
        """[texts, dim] numbers, for distinct texts."""


class SentenceTransformerEncoder(_PackageEncoder):
    """A model of sentence-transformers as an `Encoder`.

    Args:
        path: a folder, or the name of a model on the Hugging Face Hub, which is downloaded at its first use.
        batch_size: texts encoded together.
        device: such as cpu or cuda; None for the fastest one.
        revision: of a model on the Hub; None for the newest one.
        prompt: put before every text; None for nothing.

    Attributes:
        model: the `SentenceTransformer`.

    Raises:
        InputError: the package or the model is missing.
    """

    def __init__(
        self,
        path: str,
        batch_size: int,
        device: str | None = None,
        revision: str | None = None,
        prompt: str | None = None,
    ) -> None:
        package = imported_sentence_transformers()
        load = partial(package.SentenceTransformer, device=device, revision=revision)
        self.model = loaded(path, "a sentence-transformers model", load)
        self.dim = self.model.get_embedding_dimension()
        self.batch_size = batch_size
        self.prompt = prompt

    def _encode(self, texts: list[str]) -> np.ndarray:
        return self.model.encode(
            texts, batch_size=self.batch_size, prompt=self.prompt, show_progress_bar=False, convert_to_numpy=True
        )


class Model2VecEncoder(_PackageEncoder):
    """A static model of model2vec as an `Encoder`. `path`: a folder, or the name of a model on the Hub.

    Raises InputError where the package or the model is missing.
    """

    def __init__(self, path: str) -> None:
        package = imported("model2vec", "pip install model2vec")
        self._model = loaded(path, "a model2vec model", package.StaticModel.from_pretrained)
        self.dim = self._model.dim

    def _encode(self, texts: list[str]) -> np.ndarray:
        return self._model.encode(texts)


def imported(module: str, install: str) -> Any:
    """A package; raises InputError, with the command that installs it, where it cannot be imported."""
    try:
        return import_module(module)
    except ImportError as error:
        raise InputError(f"{module.replace('_', '-')} cannot be imported ({error}); {install}") from error


def imported_sentence_transformers() -> Any:
    """The package without its notes and bars of loading; downloads keep their bars where bars are drawn."""
    package = imported("sentence_transformers", INSTALL_SENTENCE_TRANSFORMERS)
    logging.getLogger("sentence_transformers").setLevel(logging.WARNING)
    import_module("transformers.utils.logging").disable_progress_bar()
    if draws_bars():
        import_module("huggingface_hub.utils").enable_progress_bars()
    return package


def loaded(path: str, what: str, load: Callable[[str], Any]) -> Any:
    """What `load` makes of a folder or a name on the Hub; raises InputError that says `what` it should be."""
    folder = Path(path).expanduser()
    try:
        return load(str(folder) if folder.is_dir() else path)
    except Exception as error:  # packages raise many kinds for a path without a model
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        offline = " (HF_HUB_OFFLINE is set)" if os.environ.get("HF_HUB_OFFLINE", "0") != "0" else ""
        raise InputError(
            f"{path}: neither a folder of {what} nor a model on the Hugging Face Hub{offline}: {reason}"
        ) from error
