"""Reads the command line: puts options where Hydra needs them, and says what to type for a word that it cannot use."""

import os
import re
import shlex
from collections.abc import Iterable, Sequence
from importlib import import_module
from pathlib import Path

import yaml
from dotenv import load_dotenv
from hydra._internal.utils import get_args_parser
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import ConfigCompositionException, HydraException, MissingConfigException
from omegaconf.errors import ConfigAttributeError, ConfigKeyError

import askagain
from askagain.apps.checks import nearest
from askagain.errors import InputError

CONFIGS = Path(askagain.__file__).parents[2] / "configs"  # of the clone that the package was installed from
MULTIRUN = {"-m", "--multirun", "hydra.mode=MULTIRUN"}
ADDED_KEY = re.compile(r"^\+(?=[^+=]*\.)")  # the plus of +section.key=value
# Names, tags and paths, whatever section they are in; groups have no such names.
TEXT_KEY = re.compile(
    r"(?:^|[.+])(?:name|tags|dir|out|path|folder|project|group|entity|notes|id|\w+_(?:path|dir|name))$"
)
NUMBER = re.compile(  # or true or false, alone, in a list or among the values of a sweep
    r"(?<![^=\[,])((?i:[+-]?(?:\d[\d_]*(?:\.[\d_]*)?|\.\d[\d_]*)(?:e[+-]?\d[\d_]*)?|[+-]?(?:inf|nan)|true|false))(?=[\],]|$)"
)
# Sections that a command can do without, wholly or in part, and settings of the trainer that it cannot do without.
CAN_GO = (
    "baselines",
    "callbacks",
    "debug",
    "experiment",
    "hparams_search",
    "hydra",
    "local",
    "logger",
    "metrics",
    "ranker",
    "start",
)
READ_OF_TRAINER = ("_partial_", "_target_", "accelerator", "devices", "max_epochs", "num_nodes", "precision")
NO_PLUGIN = "plugins of Hydra's are installed by pip install -r requirements-sweeps.txt"
NOT_HELPFUL = "\nTo append to your"  # Hydra proposes to add what nothing would read


def read_env_file() -> None:
    """Sets environment variables from `.env` beside the configs, except those that are set already.

    Raises InputError for a file that is not UTF-8.
    """
    path = CONFIGS.parent / ".env"
    try:
        load_dotenv(path)
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8; save it as UTF-8, or remove it") from error


def check_local_settings() -> None:
    """Raises InputError where configs/local/default.yaml, which Hydra adds to every config, holds no settings."""
    path = CONFIGS / "local" / "default.yaml"
    if not path.is_file():
        return
    try:
        settings = yaml.safe_load(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8; save it as UTF-8, or remove it") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = "" if mark is None else f", line {mark.line + 1}"
        raise InputError(f"{path}{line}: not YAML ({getattr(error, 'problem', error)})") from error
    if not isinstance(settings, dict | None):
        raise InputError(f"{path}: holds no settings; write them as YAML, such as paths: {{cache_dir: FOLDER}}")


def ordered(words: Sequence[str]) -> list[str]:
    """The words with Hydra's options first, as Hydra wants them; `-m` may be typed anywhere.

    Raises InputError for a word that Hydra would refuse without saying what to type.
    """
    for word in words:
        if not word.isprintable() and any("\ud800" <= character <= "\udfff" for character in word):
            shown = word.encode("ascii", "replace").decode()
            raise InputError(f"{shown}: not UTF-8, or not readable in this locale; set PYTHONUTF8=1")
    parser = get_args_parser()
    parser.allow_abbrev = False
    typed, unknown = parser.parse_known_intermixed_args(words)
    for option in unknown:
        key, _, value = option.lstrip("-").partition("=")
        following = [*words, ""][words.index(option) + 1]
        if not value and "=" not in following:
            value = following
        raise InputError(f"{option}: no such option; settings are typed without dashes, {key}={value or 'VALUE'}")
    _check_overrides([with_text_quoted(override) for override in typed.overrides], not MULTIRUN.isdisjoint(words))
    return [word for word in words if word not in typed.overrides] + for_hydra(typed.overrides)


def with_text_quoted(override: str) -> str:
    """The override, with quotes around what Hydra does not read as text though its key takes text.

    That is what looks like a number, as in `name=2024`, and what has letters that are not ASCII. `~/` at the start of
    a path becomes the user's home, which shells replace at the start of a word only.
    """
    key, equals, value = override.partition("=")
    if value.startswith("~/"):
        value = str(Path(value).expanduser())
        override = key + equals + value
    if not equals or not TEXT_KEY.search(key) or set(value) & set("'\"(){}$"):
        return override
    if not value.isascii() and not set(value) & set("=,[]\\"):
        return f"{key}='{value}'"
    return key + equals + NUMBER.sub(r"'\1'", value)


def for_hydra(overrides: Iterable[str]) -> list[str]:
    """The overrides with text quoted, and so that `+section.key=` may also name a key that is there already."""
    return [ADDED_KEY.sub("++", with_text_quoted(override)) for override in overrides]


def _check_overrides(words: Sequence[str], is_sweep: bool) -> None:
    for word in words:
        key, equals, value = word.partition("=")
        if not equals and not key.startswith("~"):
            raise InputError(f"{word}: a setting is typed KEY=VALUE{_group_of(word)}")
        if key.startswith("~") and not _may_go(key[1:]):
            name = key[1:].partition("@")[0]
            raise InputError(f"{word}: {name} cannot be left out; type {name}=VALUE to change it")
        if value == "null" and (CONFIGS / key).is_dir():
            choices = sorted(path.stem for path in (CONFIGS / key).glob("*.yaml"))
            choice = "none" if "none" in choices else choices[0]
            raise InputError(f"{word}: a group cannot be set to null; choose a config of it, such as {key}={choice}")
        _check_value(word, is_sweep)
        if key == "trainer.gpus":  # as older versions of Lightning had it
            raise InputError(f"{key}: no such setting; type trainer.accelerator=gpu trainer.devices={value}")
        if key == "hydra/launcher" and (CONFIGS / key / f"{value}.yaml").is_file():
            try:
                import_module(f"hydra_plugins.hydra_{value.partition('_')[0]}_launcher")
            except ModuleNotFoundError as error:
                raise InputError(f"{word}: {NO_PLUGIN}") from error


def _may_go(key: str) -> bool:
    """Whether a command can do without a key, or without a group of configs."""
    section, _, name = key.replace("/", ".").partition(".")
    return section.partition("@")[0] in CAN_GO or (section == "trainer" and name not in ("", *READ_OF_TRAINER))


def _check_value(word: str, is_sweep: bool) -> None:
    """Raises InputError, with the word quoted, for a value in which Hydra would see more than text."""
    key, _, value = word.partition("=")
    try:
        override = OverridesParser.create().parse_override(word)
    except HydraException as error:
        if set(value) & set("'\"[]{}()$\\"):  # something more than text was meant
            return
        raise InputError(f"{word}: this value needs quotes; type {_quoted(key, value)}") from error
    if override.is_sweep_override() and not is_sweep and re.fullmatch(r"[^\[{(]*,.*", value):
        raise InputError(
            f"{word}: several values are a sweep, which needs -m; for one value with a comma type {_quoted(key, value)}"
        )


def _quoted(key: str, value: str) -> str:
    """An override as it is typed in a shell, with its value in quotes for Hydra."""
    override = key + "='" + value.replace("'", "\\'") + "'"
    return shlex.quote(override) if set(override) & set('"$`!\\') else f'"{override}"'


def _group_of(choice: str) -> str:
    groups = sorted(path.parent.relative_to(CONFIGS).as_posix() for path in CONFIGS.glob(f"*/**/{choice}.yaml"))
    if not groups:
        return ""
    group = "experiment" if "experiment" in groups else groups[0]
    return f"; did you mean {group}={choice}?"


def explained(error: BaseException) -> str | None:
    """A setting that is not there, with the nearest one that is; None for an error of another kind."""
    if isinstance(error, MissingConfigException) and error.options:
        return _no_such_choice(str(error.missing_cfg_file), error.options)
    if not isinstance(error, ConfigCompositionException):
        return None
    cause = error.__cause__
    if isinstance(cause, ConfigKeyError | ConfigAttributeError) and cause.full_key and cause.parent_node is not None:
        section, dot, name = cause.full_key.rpartition(".")
        names = {str(key) for key in cause.parent_node} - {name, "hydra"}
        return f"{cause.full_key}: no such setting{nearest(name, names, section + dot)}"
    return " ".join(str(error).partition(NOT_HELPFUL)[0].split()) or None


def _no_such_choice(path: str, choices: Sequence[str]) -> str:
    folder = path.removeprefix("data/")
    if folder != path and (os.sep in folder or Path(folder).is_dir()):
        return f"data={folder}: this is a folder; type data=tsv data.dir={folder}"
    group, _, choice = path.rpartition("/")
    end = f"; {NO_PLUGIN}" if group.startswith("hydra/") else ""
    return f"{group}={choice}: no such config{nearest(choice, choices, f'{group}=')}{end}"
