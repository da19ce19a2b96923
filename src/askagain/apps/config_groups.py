"""The groups of configs and their choices, as `--help` lists them."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

from hydra._internal.hydra import Hydra

from askagain.apps.command_line import CONFIGS

OTHER_CONFIGS = ("--config-dir", "-cd", "--config-path", "-cp")


def list_groups_quickly(words: Sequence[str]) -> None:
    """Lets Hydra's `--help` read the groups from the folder of configs, unless the words name another one.

    Hydra composes a copy of every config for each group, which is most of the time that its help takes. It sees the
    groups of plugins as well, which `--hydra-help` lists.
    """
    if not any(word.partition("=")[0] in (*OTHER_CONFIGS, "--hydra-help") for word in words):
        Hydra.format_config_groups = format_groups  # type: ignore[assignment,method-assign]


def format_groups(hydra: Any, predicate: Callable[[str], bool], compact: bool = True) -> str:
    """A line for each group that the predicate wants, with its choices: what Hydra's own method returns, if compact."""
    choices: defaultdict[str, list[str]] = defaultdict(list)
    for path in CONFIGS.glob("*/**/*.yaml"):
        choices[path.parent.relative_to(CONFIGS).as_posix()].append(path.stem)
    groups = sorted(group for group in choices if predicate(group))
    return "".join(f"{group}: {', '.join(sorted(choices[group]))}\n" for group in groups)
