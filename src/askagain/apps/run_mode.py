"""Whether a command is one run or a sweep, which Hydra finds out by composing the whole config once more."""

import re
from collections.abc import Sequence

from hydra._internal.hydra import Hydra

from askagain.apps.command_line import CONFIGS

HARMLESS_FLAGS = ("-m", "--multirun")  # others may be abbreviated, and name other configs
HARMLESS_WORDS = ("hydra.run.", "hydra.sweep.", "hydra.job.")  # of those with `hydra` in them
# A key that could be `hydra.mode`, unless what follows is a value that `hydra.mode` cannot have, or further configs.
SETS_MODE = re.compile(r"\bmode\b['\"]?\s*:(?!\s*['\"]?(?:min\b|max\b|null\b|\$\{metric\.mode\}))|\bsearchpath\b")


def find_mode_quickly(words: Sequence[str]) -> None:
    """Lets Hydra go by `-m` alone, unless the words or a file of the folder of configs could set `hydra.mode`.

    That saves a quarter of a second, half of what Hydra takes before a command starts.
    """
    if not any(map(_could_set_mode, words)) and not _configs_could_set_mode():
        Hydra.get_mode = lambda *_, **__: None  # type: ignore[method-assign]  # as where `hydra.mode` is not set


def _could_set_mode(word: str) -> bool:
    if word.startswith("-"):
        return word not in HARMLESS_FLAGS
    return "hydra" in word and not word.startswith(HARMLESS_WORDS)


def _configs_could_set_mode() -> bool:
    try:
        return any(SETS_MODE.search(path.read_text("utf-8", "replace")) for path in CONFIGS.rglob("*.yaml"))
    except OSError:  # such as an editor's link to nothing, which Hydra may have no need of
        return True
