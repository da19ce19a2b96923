"""Builds what a command works with from its config."""

from collections.abc import Callable
from inspect import signature
from pathlib import Path
from typing import Any

from hydra.utils import instantiate
from omegaconf import DictConfig

from askagain.corpus.cache import Cache
from askagain.corpus.corpus import Corpus
from askagain.corpus.files import CorpusFiles
from askagain.corpus.sample import generator_digest, write_sample
from askagain.errors import InputError


def factory(cfg: DictConfig, section: str) -> Callable[..., Any]:
    """What makes the object of a config section, with the section's settings filled in.

    Raises InputError for a setting that it does not take.
    """
    made = instantiate(cfg[section])
    try:
        signature(made)
    except ValueError as error:
        raise InputError(f"{section}: {error.__cause__ or error}; see the file of {section} in configs") from error
    return made


def build_corpus(cfg: DictConfig) -> Corpus:
    """The corpus of `cfg.data`; the synthetic sample is generated where it is asked for and not there yet."""
    data = cfg.data
    cache = Cache(Path(cfg.paths.cache_dir))
    folder = data.dir
    if data.sample is not None:
        settings = dict(data.sample)
        key: dict[str, object] = {"settings": settings, "generator": generator_digest()}
        folder = str(cache.entry("synthetic-sample", key, lambda path: write_sample(path, **settings)))
    files = CorpusFiles.locate(folder, data.train_path, data.validation_path, data.test_path, data.corpus_path)
    return Corpus(files, instantiate(cfg.preprocessor), cache, data.on_bad_row)


def data_name(cfg: DictConfig, path: Path) -> str:
    """What to call a file of the corpus; the built-in sample is always called synthetic."""
    return f"the synthetic sample, {path}" if cfg.data.sample is not None else str(path)
