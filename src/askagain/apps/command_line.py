"""Reads the command line: puts options where Hydra needs them, and says what to type for a word that it cannot use."""

import os
import re
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from dotenv import load_dotenv
from hydra._internal.utils import get_args_parser
from hydra.errors import ConfigCompositionException, MissingConfigException
from omegaconf.errors import ConfigAttributeError, ConfigKeyError

import askagain
from askagain.apps.checks import nearest
from askagain.errors import InputError

CONFIGS = Path(askagain.__file__).parents[2] / "configs"  # of the clone that the package was installed from
ADDED_KEY = re.compile(r"^\+(?=[^+=]*\.)")  # the plus of +section.key=value
NO_PLUGIN = "plugins of Hydra's are installed by pip install -r requirements-sweeps.txt"
NOT_HELPFUL = "\nTo append to your"  # Hydra proposes to add what nothing would read


def read_env_file() -> None:
    """Sets environment variables from `.env` beside the configs, except those that are set already."""
    load_dotenv(CONFIGS.parent / ".env")


def ordered(words: Sequence[str]) -> list[str]:
    """The words with Hydra's options first, as Hydra wants them; `-m` may be typed anywhere.

    Raises InputError for a word that Hydra would refuse without saying what to type.
    """
    parser = get_args_parser()
    parser.allow_abbrev = False
    typed, unknown = parser.parse_known_intermixed_args(words)
    for option in unknown:
        key, _, value = option.lstrip("-").partition("=")
        following = [*words, ""][words.index(option) + 1]
        if not value and "=" not in following:
            value = following
        raise InputError(f"{option}: no such option; settings are typed without dashes, {key}={value or 'VALUE'}")
    _check_overrides(typed.overrides)
    return [word for word in words if word not in typed.overrides] + added_or_set(typed.overrides)


def added_or_set(overrides: Sequence[str]) -> list[str]:
    """The overrides, where `+section.key=` may also name a key that is there already."""
    return [ADDED_KEY.sub("++", override) for override in overrides]


def _check_overrides(words: Sequence[str]) -> None:
    for word in words:
        key, equals, value = word.partition("=")
        if not equals and not key.startswith("~"):
            raise InputError(f"{word}: a setting is typed KEY=VALUE{_group_of(word)}")
        if value == "null" and (CONFIGS / key).is_dir():
            choices = sorted(path.stem for path in (CONFIGS / key).glob("*.yaml"))
            choice = "none" if "none" in choices else choices[0]
            raise InputError(f"{word}: a group cannot be set to null; choose a config of it, such as {key}={choice}")
        if key == "trainer.gpus":  # as older versions of Lightning had it
            raise InputError(f"{key}: no such setting; type trainer.accelerator=gpu trainer.devices={value}")
        if key == "hydra/launcher" and (CONFIGS / key / f"{value}.yaml").is_file():
            try:
                import_module(f"hydra_plugins.hydra_{value.partition('_')[0]}_launcher")
            except ModuleNotFoundError as error:
                raise InputError(f"{word}: {NO_PLUGIN}") from error


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
