"""Builds what a command works with from its config."""

from collections.abc import Sequence
from dataclasses import replace
from importlib import import_module
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.errors import InstantiationException
from hydra.utils import get_object, instantiate
from omegaconf import DictConfig, OmegaConf

from askagain.corpus.cache import Cache
from askagain.corpus.corpus import Corpus
from askagain.corpus.drawn_rows import drawn_rows
from askagain.corpus.field_table import FieldTable
from askagain.corpus.files import QUESTIONS, CorpusFiles
from askagain.errors import InputError
from askagain.files.progress import with_progress
from askagain.synthetic.sample import generator_digest, write_sample
from askagain.text.fields import Fields

if TYPE_CHECKING:  # commands that train nothing do not wait for Lightning
    from askagain.evaluation.combined import RowRanker
    from askagain.models.lexical import LexicalRanker
    from askagain.training.data.datamodule import BagDataModule
    from askagain.training.modules.base import RetrievalModule

PATHS = ("train_path", "validation_path", "test_path", "corpus_path")


def build(cfg: DictConfig, section: str, **given: Any) -> Any:
    """The object of a config section; with `_partial_` in the section, a `functools.partial` that makes it.

    `given`: objects to take in place of settings. Raises InputError for a target that cannot be imported, and for
    settings that it does not take or refuses.
    """
    node = OmegaConf.select(cfg, section)
    if node is None:
        raise InputError(f"{section}=null: choose one of the configs in configs/{section}")
    if not isinstance(node, DictConfig) or "_target_" not in node:
        raise InputError(f"{section}={node}: must be a section with a _target_")
    try:
        made = instantiate(node, **given)
    except InstantiationException as error:
        cause = error.__cause__
        if isinstance(cause, InputError):
            names_a_key = str(cause).partition("=")[0] in node
            raise InputError(f"{section}.{cause}" if names_a_key else str(cause)) from error
        if isinstance(cause, TypeError):
            _check_parameters(node, section)
        if isinstance(cause, ImportError) or cause is None:
            target = node.get("_target_")
            raise InputError(f"{section}._target_={target}: cannot be imported ({cause or error})") from error
        raise
    if node.get("_partial_"):
        _check_parameters(node, section)
    return made


def _check_parameters(node: DictConfig, section: str) -> None:
    """Raises InputError for a setting that the target of a section does not take."""
    settings = {str(name): None for name in node if not str(name).startswith("_")}
    try:
        signature(get_object(node["_target_"])).bind_partial(**settings)
    except TypeError as error:
        raise InputError(f"{section}: {error}; see the file of {section} in configs") from error


def build_all(cfg: DictConfig, section: str) -> list[Any]:
    """The objects of a section that holds several, such as callbacks; those set to null are left out."""
    return [build(cfg, f"{section}.{name}") for name, node in (cfg.get(section) or {}).items() if node is not None]


def import_modules(cfg: DictConfig) -> None:
    """Imports the modules of `cfg.imports`; raises InputError for one that cannot be."""
    for name in cfg.imports:
        try:
            import_module(name)
        except ImportError as error:
            raise InputError(f"imports={name}: cannot be imported ({error})") from error


def build_own_metrics(cfg: DictConfig) -> dict[str, Any]:
    """The metrics of the user's own, by name."""
    return {str(name): build(cfg, f"metrics.{name}") for name in cfg.metrics}


def build_module(cfg: DictConfig, datamodule: "BagDataModule") -> "RetrievalModule":
    """The module of `cfg.model`, made from the datamodule's features, the optimizer and the loss, if it takes one."""
    model = build(cfg, "model")
    parts = {"optimizer": build(cfg, "optimizer"), "scheduler": build(cfg, "scheduler")}
    if "loss" in signature(model).parameters:
        parts["loss"] = build(cfg, "loss")
    return model(**datamodule.model_inputs(), **parts)


def build_corpus(cfg: DictConfig) -> Corpus:
    """The corpus of `cfg.data`, without its test set where `cfg.test` is false.

    The synthetic sample is generated where it is asked for and not there yet.
    """
    data = cfg.data
    cache = Cache(Path(str(cfg.paths.cache_dir)))
    paths = {name: None if data[name] is None else str(data[name]) for name in PATHS}
    folder = None if data.dir is None else str(data.dir)
    if data.sample is not None:
        settings = dict(data.sample)
        key: dict[str, object] = {"settings": settings, "generator": generator_digest()}
        folder = cache.entry("synthetic-sample", key, lambda path: write_sample(path, **settings), str)
    files = CorpusFiles.locate(folder, **paths)
    if data.validation_groups is not None:
        drawn = drawn_rows(
            Path(str(data.validation_groups)),
            files,
            cache,
            candidates=data.validation_candidates,
            seed=data.validation_seed,
            on_bad_row=data.on_bad_row,
            clean=data.clean,
        )
        files = replace(files, validation=drawn)
    treatment = {name: data[name] for name in ("on_bad_row", "clean", "join_groups", "leaks_allowed")}
    if cfg.get("test") is False:
        files = replace(files, test=None)
    preprocessor = build(cfg, "preprocessor")
    if list(data.fields) != ["title"]:
        fields = Fields(list(data.fields), dict(data.field_words), dict(data.field_weights))
        preprocessor = preprocessor.with_fields(fields)
        treatment["fields"] = FieldTable(_questions(data.questions_path, folder), fields, cache)
    further = [Path(str(path)) for path in data.further_texts]
    return Corpus(files, preprocessor, cache, **treatment, further_texts=further)


def _questions(path: str | None, folder: str | None) -> Path:
    """The file with all fields of the questions; raises InputError where there is none."""
    if path is not None:
        return Path(path)
    found = [Path(folder) / name for name in QUESTIONS if folder is not None and (Path(folder) / name).is_file()]
    if not found:
        raise InputError(f"data.fields: no {' or '.join(QUESTIONS)} in {folder}; give its path as data.questions_path")
    return found[0]


def training_texts(corpus: Corpus) -> list[Sequence[str]]:
    """The texts of `train.tsv` and of `corpus.txt`, where they are."""
    return [corpus.store(name).texts for name in ("train", "corpus") if getattr(corpus.files, name) is not None]


def build_ranker(cfg: DictConfig, corpus: Corpus, section: str = "ranker", **given: Any) -> "LexicalRanker | RowRanker":
    """The ranker of a section, fitted to the texts of `train.tsv` and `corpus.txt`; `given` as in `build`."""
    ranker: LexicalRanker | RowRanker = build(cfg, section, **given)
    texts = dict.fromkeys(text for texts in training_texts(corpus) for text in texts)
    ranker.fit(with_progress(texts, len(texts), "counting words"))
    return ranker


def data_name(cfg: DictConfig, path: Path | str) -> str:
    """What to call a file of the corpus; what was made in the cache is there under a name that says nothing."""
    if cfg.data.sample is not None:
        return "the synthetic sample"
    is_drawn = cfg.data.validation_groups is not None and Path(path).is_relative_to(str(cfg.paths.cache_dir))
    return f"rows drawn from {cfg.data.validation_groups}" if is_drawn else str(path)
