"""Builds what a command works with from its config, and refuses values that cannot be meant."""

from inspect import isclass, signature
from pathlib import Path
from typing import Any, get_type_hints

from hydra.utils import get_object, instantiate
from omegaconf import DictConfig, OmegaConf

from askagain.apps.types import fits, readable
from askagain.corpus.cache import Cache
from askagain.corpus.corpus import Corpus
from askagain.corpus.files import CorpusFiles
from askagain.corpus.sample import generator_digest, write_sample
from askagain.errors import InputError

PATHS = ("dir", "train_path", "validation_path", "test_path", "corpus_path")
LARGEST_SEED = 2**32 - 1


def build(cfg: DictConfig, section: str) -> Any:
    """The object of a config section; with `_partial_` in the section, what makes it, the settings filled in.

    Raises InputError for a setting that the object does not take, or whose value is not of the type it is declared
    with.
    """
    node = OmegaConf.select(cfg, section)
    if node is None:
        raise InputError(f"{section}=null: choose one of the configs in configs/{section}")
    _check_types(section, OmegaConf.to_container(node, resolve=True))  # type: ignore[arg-type]
    made = instantiate(node)
    if node.get("_partial_"):
        try:
            signature(made)
        except ValueError as error:
            raise InputError(f"{section}: {error.__cause__ or error}; see the file of {section} in configs") from error
    return made


def build_all(cfg: DictConfig, section: str) -> list[Any]:
    """The objects of a section that holds several, such as callbacks; those set to null are left out."""
    return [build(cfg, f"{section}.{name}") for name, node in (cfg.get(section) or {}).items() if node is not None]


def _check_types(section: str, settings: dict[str, Any]) -> None:
    target = settings.get("_target_")
    hints = _type_hints(section, target) if target else {}
    for name, value in settings.items():
        if isinstance(value, dict) and "_target_" in value:
            _check_types(f"{section}.{name}", value)
        elif name in hints and not fits(value, hints[name]):
            raise InputError(f"{section}.{name}={value}: must be {readable(hints[name])}")


def _type_hints(section: str, target: str) -> dict[str, Any]:
    try:
        found = get_object(target)
    except Exception as error:  # whatever importing it raises
        raise InputError(f"{section}._target_={target}: cannot be imported ({error})") from error
    try:
        return get_type_hints(found.__init__ if isclass(found) else found)
    except (NameError, TypeError, AttributeError):
        return {}  # not all of other packages' hints can be resolved; they check their own arguments


def check_common(cfg: DictConfig) -> None:
    """Raises InputError for a value of no use among those that stand outside of the sections."""
    for name, valid, wanted in (
        ("seed", lambda value: type(value) is int and 0 <= value <= LARGEST_SEED, f"0 to {LARGEST_SEED}"),
        (
            "ks",
            lambda value: _whole_numbers(value) and len(value) > 0,
            "a list of whole numbers from 1, such as [1,10]",
        ),
        ("metric.name", lambda value: isinstance(value, str), "the name of a metric, such as val/mrr"),
        ("paths.cache_dir", lambda value: isinstance(value, str | int), "a folder"),
    ):
        value = OmegaConf.select(cfg, name)
        if name.split(".")[0] in cfg and not valid(value):
            raise InputError(f"{name}={value}: must be {wanted}")


def _whole_numbers(values: Any) -> bool:
    return OmegaConf.is_list(values) and all(type(value) is int and value >= 1 for value in values)


def build_corpus(cfg: DictConfig) -> Corpus:
    """The corpus of `cfg.data`; the synthetic sample is generated where it is asked for and not there yet."""
    data = cfg.data
    cache = Cache(Path(str(cfg.paths.cache_dir)))
    folder, *files = (None if data[name] is None else str(data[name]) for name in PATHS)
    if data.sample is not None:
        if folder is not None:
            raise InputError(f"data.dir={folder} needs data=tsv beside it; data=sample is the synthetic sample")
        settings = dict(data.sample) if OmegaConf.is_dict(data.sample) else {}
        if not fits(settings.get("seed"), int) or set(settings) != {"seed"}:
            raise InputError(f"data.sample={data.sample}: must be a seed, such as {{seed: 0}}")
        key: dict[str, object] = {"settings": settings, "generator": generator_digest()}
        folder = cache.entry("synthetic-sample", key, lambda path: write_sample(path, **settings), str)
    return Corpus(CorpusFiles.locate(folder, *files), build(cfg, "preprocessor"), cache, data.on_bad_row)


def data_name(cfg: DictConfig, path: Path | str) -> str:
    """What to call a file of the corpus; the built-in sample is always called synthetic."""
    return f"the synthetic sample, {path}" if cfg.data.sample is not None else str(path)
