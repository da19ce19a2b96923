"""Builds what a command works with from its config, and refuses values that cannot be meant."""

import re
from collections.abc import Iterable
from inspect import Parameter, isclass, signature
from pathlib import Path
from typing import Any, get_type_hints

from hydra.utils import get_object, instantiate
from omegaconf import DictConfig, OmegaConf

from askagain.apps.types import fits, readable
from askagain.corpus.cache import Cache
from askagain.corpus.corpus import Corpus
from askagain.corpus.files import CorpusFiles
from askagain.errors import InputError
from askagain.synthetic.sample import generator_digest, write_sample

PATHS = ("dir", "train_path", "validation_path", "test_path", "corpus_path")
LARGEST_SEED = 2**32 - 1
PASSED_ON = {"features", "vectors", "words", "teacher", "start", "loss"}  # sections of use only where others name them


def build(cfg: DictConfig, section: str) -> Any:
    """The object of a config section; with `_partial_` in the section, what makes it, the settings filled in.

    Raises InputError for a setting that the object does not take, or whose value is not of the type it is declared
    with.
    """
    node = OmegaConf.select(cfg, section)
    if node is None:
        raise InputError(f"{section}=null: choose one of the configs in configs/{section}")
    as_written: Any = OmegaConf.to_container(node, resolve=False)
    _check_types(section, OmegaConf.to_container(node, resolve=True), as_written)  # type: ignore[arg-type]
    made = instantiate(node)
    if node.get("_partial_"):
        try:
            signature(made)
        except ValueError as error:
            raise InputError(f"{section}: {error.__cause__ or error}; see the file of {section} in configs") from error
        _check_names(section, made.func, made.keywords)
    return made


def build_all(cfg: DictConfig, section: str) -> list[Any]:
    """The objects of a section that holds several, such as callbacks; those set to null are left out."""
    return [build(cfg, f"{section}.{name}") for name, node in (cfg.get(section) or {}).items() if node is not None]


def _check_types(section: str, settings: dict[str, Any], as_written: Any) -> None:
    target = settings.get("_target_")
    hints = _type_hints(section, target) if target else {}
    for name, value in settings.items():
        written = as_written.get(name) if isinstance(as_written, dict) else None
        key = _named_elsewhere(written) or f"{section}.{name}"
        if isinstance(value, dict) and "_target_" in value:
            _check_types(key, value, written)
            _check_names(key, get_object(value["_target_"]), [given for given in value if not given.startswith("_")])
        elif name in hints and not fits(value, hints[name]):
            raise InputError(f"{key}={value}: must be {readable(hints[name])}")


def _named_elsewhere(written: Any) -> str | None:
    """The key that a value is typed with where it is only passed on: `features` for `${features}`."""
    found = re.fullmatch(r"\$\{(\w[\w.]*)\}", written) if isinstance(written, str) else None
    return found[1] if found else None


def _type_hints(section: str, target: str) -> dict[str, Any]:
    try:
        found = get_object(target)
    except Exception as error:  # whatever importing it raises
        raise InputError(f"{section}._target_={target}: cannot be imported ({error})") from error
    hints: dict[str, Any] = {}
    for callee in reversed(_callees(found)):
        try:
            hints |= get_type_hints(callee)
        except (NameError, TypeError, AttributeError):
            continue  # not all of other packages' hints can be resolved; they check their own arguments
    return hints


def _callees(found: Any) -> list[Any]:
    """What takes the settings: a function, or `__init__` and those that its `**settings` are passed on to."""
    if not isclass(found):
        return [found]
    callees = []
    for kind in found.__mro__:
        init = vars(kind).get("__init__")
        if init is not None:
            callees.append(init)
            if not any(parameter.kind is Parameter.VAR_KEYWORD for parameter in _parameters(init)):
                break
    return callees


def _parameters(callee: Any) -> list[Parameter]:
    try:
        return list(signature(callee).parameters.values())
    except (TypeError, ValueError):
        return []


def _check_names(section: str, target: Any, given: Iterable[str]) -> None:
    """Raises InputError for a setting that a class does not take, nor a parent that settings are passed on to."""
    callees = _callees(target) if isclass(target) else []
    taken = [parameter for callee in callees for parameter in _parameters(callee)[1:]]
    if not taken or any(parameter.kind is Parameter.VAR_KEYWORD for parameter in _parameters(callees[-1])):
        return
    names = [parameter.name for parameter in taken if parameter.kind is not Parameter.VAR_KEYWORD]
    for name in given:
        if name not in names:
            raise InputError(f"{section}: got an unexpected setting '{name}'; see the file of {section} in configs")


def check_common(cfg: DictConfig) -> None:
    """Raises InputError for a value of no use among those that stand outside of the sections."""
    for name, valid, wanted in (
        ("seed", lambda value: type(value) is int and 0 <= value <= LARGEST_SEED, f"0 to {LARGEST_SEED}"),
        (
            "ks",
            lambda value: _whole_numbers(value) and len(value) > 0,
            "a list of whole numbers from 1, such as [1,10]",
        ),
        ("data.batch_size", _whole_number, "a whole number from 1"),
        ("intervals.resamples", _whole_number, "a whole number from 1"),
        (
            "intervals.confidence",
            lambda value: isinstance(value, float) and 0 < value < 1,
            "a number between 0 and 1, such as 0.95",
        ),
        ("worst_ranked.rows", _whole_number, "a whole number from 1"),
        ("worst_ranked.candidates", _whole_number, "a whole number from 1"),
        ("worst_ranked.features", lambda value: value is None or _whole_number(value), "a whole number from 1"),
        ("metric.name", lambda value: isinstance(value, str), "the name of a metric, such as val/mrr"),
        ("paths.cache_dir", lambda value: isinstance(value, str | int), "a folder"),
    ):
        value = OmegaConf.select(cfg, name)
        if name.split(".")[0] in cfg and not valid(value):
            raise InputError(f"{name}={value}: must be {wanted}")


def check_used(cfg: DictConfig, typed: Iterable[str]) -> None:
    """Raises InputError for one of the overrides that were `typed` which sets what this config has no use for."""
    sections = {str(name): str(node) for name, node in OmegaConf.to_container(cfg, resolve=False).items()}  # type: ignore[union-attr]
    used: set[str] = set()
    named = set(sections) - PASSED_ON
    while named:
        used |= named
        text = " ".join(sections[name] for name in named)
        named = {name for name in PASSED_ON - used if re.search(rf"\$\{{{name}[.}}]", text)}
    for override in typed:
        if re.split(r"[=.@]", override.lstrip("+~"))[0] in PASSED_ON - used:
            raise InputError(f"{override}: this experiment has no use for it")


def _whole_numbers(values: Any) -> bool:
    return OmegaConf.is_list(values) and all(map(_whole_number, values))


def _whole_number(value: Any) -> bool:
    return type(value) is int and value >= 1


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
