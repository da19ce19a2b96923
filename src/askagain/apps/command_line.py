"""What was typed: options are put in the order that Hydra reads, and a word that it cannot use is answered by the words
to type.
"""

import difflib
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf

from askagain.apps.checks import nearest
from askagain.errors import InputError

OPTIONS = {"--help", "-h", "--hydra-help", "--version", "--resolve", "--run", "-r", "--multirun", "-m"}
OPTIONS |= {"--shell-completion", "-sc"}
OPTIONS_WITH_VALUE = {"--cfg", "-c", "--package", "-p", "--config-path", "-cp", "--config-name", "-cn"}
OPTIONS_WITH_VALUE |= {"--config-dir", "-cd", "--experimental-rerun", "--info", "-i"}
OTHER_CONFIGS = {"--config-path", "-cp", "--config-name", "-cn", "--config-dir", "-cd", "--experimental-rerun"}

RENAMED = {"trainer.gpus": "trainer.accelerator=gpu trainer.devices={}"}  # what older versions of Lightning called so
PLUGINS = {
    "joblib": "hydra_joblib_launcher",
    "ray": "hydra_ray_launcher",
    "submitit_local": "hydra_submitit_launcher",
    "submitit_slurm": "hydra_submitit_launcher",
    "optuna": "hydra_optuna_sweeper",
}


def ordered(words: Sequence[str]) -> list[str]:
    """The words with Hydra's options first, as Hydra wants them; `-m` may be typed anywhere.

    Raises InputError for an option that there is not.
    """
    options: list[str] = []
    overrides: list[str] = []
    waiting = iter(words)
    for word in waiting:
        name = word.split("=")[0]
        if name in OPTIONS_WITH_VALUE:
            options.append(word)
            if name == word:
                options += [value for value in [next(waiting, None)] if value is not None]
        elif word in OPTIONS:
            options.append(word)
        elif word.startswith("-"):
            raise InputError(f"{word}: no such option; {_in_place_of(word, next(waiting, None))}")
        else:
            overrides.append(word)
    return options + overrides


def _in_place_of(option: str, following: str | None) -> str:
    key, equals, value = option.lstrip("-").partition("=")
    close = difflib.get_close_matches(option, OPTIONS | OPTIONS_WITH_VALUE, n=1, cutoff=0.8)
    if close:
        return f"did you mean {close[0]}?"
    if not equals and following is not None and "=" not in following:
        value = following
    return f"settings are typed without dashes, {key}={value or 'VALUE'}"


def explained(script: Path, words: Sequence[str]) -> str | None:
    """What is wrong with the words of a command that Hydra refused; None where its own message has to do.

    Args:
        script: the command's file. Its config has the same name, in the folder `configs` beside it or one above.
        words: what was typed behind it.
    """
    configs = next(
        (folder / "configs" for folder in script.resolve().parents[:2] if (folder / "configs").is_dir()), None
    )
    if configs is None or any(word.split("=")[0] in OTHER_CONFIGS for word in words):
        return None
    typed = [word for word in words if not word.startswith("-")]
    for word in typed:
        if "=" not in word and not word.startswith("~"):
            return _bare(word, configs)
    try:
        overrides = OverridesParser.create().parse_overrides(typed)
    except HydraException:
        return None
    if not {"-m", "--multirun"} & set(words):
        for override in overrides:
            if override.is_sweep_override():
                key = override.get_key_element()
                values = ",".join(override.sweep_string_iterator()) if override.is_discrete_sweep() else "..."
                return f"{override.input_line}: add -m to sweep over several values; a list is typed {key}=[{values}]"
    mistakes = (
        message
        for find in (_bad_choices, _missing_plugins, _unused_groups_and_keys)
        for message in find(overrides, configs, script.stem)
    )
    return next(mistakes, None)


def _bare(word: str, configs: Path) -> str:
    groups = sorted(path.parent.relative_to(configs).as_posix() for path in configs.glob(f"**/{word}.yaml"))
    groups = [group for group in groups if group != "."]
    groups.sort(key=lambda group: group != "experiment")
    if groups:
        return f"{word}: a setting is typed KEY=VALUE; did you mean {groups[0]}={word}?"
    return f"{word}: a setting is typed KEY=VALUE"


def _bad_choices(overrides: Iterable[Override], configs: Path, command: str) -> Iterator[str]:
    for override in overrides:
        group = str(override.key_or_group)
        choices = sorted(path.stem for path in (configs / group).glob("*.yaml"))
        if not choices or override.is_delete() or group.startswith("hydra/"):
            continue
        for value in _chosen(override):
            if value is None:
                yield f"{group}=null: a group cannot be set to null; choose {_listed(group, choices)}"
            elif value not in choices:
                if group == "data" and (os.sep in value or Path(value).is_dir()):
                    yield f"data={value}: this is a folder; type data=tsv data.dir={value}"
                close = difflib.get_close_matches(value, choices, n=1)
                end = f"did you mean {group}={close[0]}?" if close else f"choose {_listed(group, choices)}"
                yield f"{group}={value}: no such config; {end}"


def _chosen(override: Override) -> list[Any]:
    value = override.value()
    if override.is_sweep_override():
        return list(override.sweep_string_iterator()) if override.is_discrete_sweep() else []
    return [] if isinstance(value, list | dict) else [None if value is None else str(value)]


def _listed(group: str, choices: Sequence[str]) -> str:
    names = ["none"] if "none" in choices else []
    names += [choice for choice in choices if choice != "none"]
    return f"one of these, such as {group}={names[0]}: {', '.join(choices)}"


def _missing_plugins(overrides: Iterable[Override], configs: Path, command: str) -> Iterator[str]:
    for override in overrides:
        key, value = str(override.key_or_group), str(override.value())
        if key == "hparams_search" and value.endswith("optuna"):
            value = "optuna"
        elif key not in ("hydra/launcher", "hydra/sweeper"):
            continue
        plugin = PLUGINS.get(value)
        if plugin is not None and not _is_installed(f"hydra_plugins.{plugin}"):
            yield f"{key}={override.value()} needs {plugin}; pip install -r requirements-sweeps.txt"
        if value == "submitit_slurm" and shutil.which("srun") is None:
            yield f"{key}={value} needs SLURM: there is no srun here; submitit_local does the same without"


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def _unused_groups_and_keys(overrides: Sequence[Override], configs: Path, command: str) -> Iterator[str]:
    groups = [override for override in overrides if (configs / str(override.key_or_group)).is_dir()]
    groups.sort(key=lambda override: override.key_or_group != "experiment")
    valid: list[str] = []
    with initialize_config_dir(str(configs), version_base="1.3"):
        cfg = compose(command, return_hydra_config=True)
        for override in groups:
            try:
                word = _first_choice(override)
                cfg = compose(command, [*valid, word], return_hydra_config=True)
                valid.append(word)
            except HydraException:
                choices = cfg.hydra.runtime.choices
                if override.key_or_group not in choices and not override.is_add():
                    used = sorted(str(name) for name in choices if not str(name).startswith("hydra"))
                    with_experiment = f" of experiment={choices['experiment']}" if "experiment" in choices else ""
                    yield (
                        f"{override.input_line}: the config{with_experiment} has no use for {override.key_or_group}; "
                        f"its groups are {', '.join(used)}"
                    )
                return
    for override in overrides:
        key = str(override.key_or_group)
        if override in groups or override.is_add() or override.is_force_add() or key.startswith("hydra"):
            continue
        if not _has(cfg, key):
            if key in RENAMED:
                yield f"{key}: no such setting; type {RENAMED[key].format(override.value())}"
            yield f"{key}: no such setting{_nearest_key(key, cfg)}"


def _first_choice(override: Override) -> str:
    """The override as it is, or where it is swept with the first of its values."""
    if not override.is_sweep_override():
        return str(override.input_line)
    return f"{override.get_key_element()}={next(iter(override.sweep_string_iterator()))}"


def _has(cfg: DictConfig, key: str) -> bool:
    node: Any = cfg
    for name in key.split("."):
        if OmegaConf.is_list(node):
            return True
        if not OmegaConf.is_dict(node) or name not in node:
            return False
        node = None if OmegaConf.is_missing(node, name) else node._get_node(name)
    return True


def _nearest_key(key: str, cfg: DictConfig) -> str:
    values = {name: value for name, value in OmegaConf.to_container(cfg, resolve=False).items() if name != "hydra"}  # type: ignore[union-attr]
    section, dot, name = key.rpartition(".")
    known = list(_keys(values))
    beside = [one.rpartition(".")[2] for one in known if one.rpartition(".")[0] == section]
    if difflib.get_close_matches(name, beside):
        return nearest(name, beside, section + dot)
    elsewhere = [one for one in known if one.rpartition(".")[2] == name]
    if elsewhere:
        return f"; did you mean {elsewhere[0]}?"
    return nearest(name, beside) if beside else nearest(key, known)


def _keys(values: dict[Any, Any], section: str = "") -> Iterator[str]:
    for name, value in values.items():
        yield f"{section}{name}"
        if isinstance(value, dict):
            yield from _keys(value, f"{section}{name}.")
