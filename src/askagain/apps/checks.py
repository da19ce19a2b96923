"""Checks a composed config against the settings of its command, and says in one line what is wrong with it.

Hydra itself refuses keys that a config does not have; `command_line.explained` then names the nearest one. Values are
checked here. A class of the user's own, named by `_target_`, checks its arguments itself.
"""

import math
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf, open_dict

from askagain.errors import InputError

BOARDS = ("leaderboard", "learning_curves")  # commands that name several rankers, and choose none
MISSING = "???"  # a value that OmegaConf wants to be given
STRICT: Any = {"strict": True, "allow_inf_nan": False}  # of pydantic: true and false are no numbers
WORDING = {
    "int_type": "must be a whole number",
    "float_type": "must be a number",
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false",
    "string_type": "must be text",
    "list_type": "must be a list",
    "dict_type": "must be a section",
    "literal_error": "must be {expected}",
    "greater_than_equal": "must be at least {ge}",
    "greater_than": "must be above {gt}",
    "less_than_equal": "must be at most {le}",
    "less_than": "must be below {lt}",
    "string_too_short": "must have {min_length} or more characters",
    "string_too_long": "must have no more than {max_length} characters",
    "too_short": "must have {min_length} or more entries",
    "too_long": "must have no more than {max_length} entries",
    "value_error": "{error}",
}

Key = tuple[str, ...]


def check_settings(command: str, cfg: DictConfig) -> None:
    """Raises InputError for the first key of a config with an invalid value; `command` is the config's name."""
    for _, message in _mistakes(command, cfg):
        raise InputError(message)


def check_before_sweep(cfg: DictConfig) -> None:
    """Checks what all runs of a sweep share: nothing where a group is swept, as that changes which keys there are.

    The values that are swept are not in the config yet, so each run is checked again as a whole.
    """
    typed: Any = OmegaConf.to_container(cfg.hydra.overrides.task, resolve=False)
    overrides = OverridesParser.create().parse_overrides(typed)
    swept = {str(override.key_or_group) for override in overrides if override.is_sweep_override()}
    swept |= {str(key) for key in cfg.hydra.sweeper.get("params") or {}}
    if not swept & {str(group) for group in cfg.hydra.runtime.choices}:
        check_before_run(cfg, swept)


def check_before_run(cfg: DictConfig, swept: set[str] | None = None) -> None:
    """Checks the config of a run, or what `swept` leaves of it, before its folder is made. Raises InputError."""
    config = HydraConfig.instance()
    before = config.cfg
    own = OmegaConf.masked_copy(cfg, [str(key) for key in cfg if key != "hydra"])
    named = OmegaConf.masked_copy(cfg, ["hydra"])
    with open_dict(named.hydra.runtime):
        named.hydra.runtime.output_dir = "."  # it is not known yet
    try:
        config.set_config(named)
        for key, message in _mistakes(str(cfg.hydra.job.config_name), own):
            if swept is None or (key is not None and key not in swept):
                raise InputError(message)
    finally:
        config.cfg = before


def _mistakes(command: str, cfg: DictConfig) -> Iterator[tuple[str | None, str]]:
    """The key and the message of every mistake; the key is None where several values do not go together."""
    from askagain.apps.settings import COMMANDS  # with NumPy, which --help and --cfg do without

    if command not in COMMANDS:  # a config of the user's own
        return
    typed: Any = OmegaConf.to_container(cfg, resolve=False)
    values: Any = OmegaConf.to_container(cfg, resolve=True, throw_on_missing=False)
    if values.get("ranker") is not None or (command in BOARDS and values["encoder"].get("path") == MISSING):
        values.pop("encoder", None)  # another ranker takes its place
    if command == "train" and "trainer" in values and "model" not in values:  # debug=, or typed with a plus
        yield None, "trainer: this experiment trains nothing; leave debug= and settings of the trainer out"
    for path, reason, of_one_value in _mistakes_in(values, (command,)):
        key = _as_typed(path[1:], typed)
        message = f"{key} is missing: type {key}=..." if reason == MISSING else key + reason
        yield key if of_one_value else None, message


def _mistakes_in(section: dict[str, Any], path: Key) -> Iterator[tuple[Key, str, bool]]:
    """The key, what is wrong with it, and whether it is a single value's fault; `path` begins with the command."""
    from askagain.apps.settings import CHECKS, FREE_KEYS, KINDS

    target = section.get("_target_", "")
    made = target.rpartition(".")[2]
    is_ours = path[1:2] != ("logger",) and (target == "" or target.startswith("askagain."))
    values = {name: value for name, value in section.items() if not str(name).startswith("_")}
    is_sound = True
    for name, value in values.items():
        names = (f"{made}.{name}", f"{path[-1]}.{name}", name) if is_ours else (f"{made}.{name}",)
        kind = next((KINDS[key] for key in names if key in KINDS), None)
        reason = _refusal(value, Any if kind is None else kind)
        if kind is None and is_ours and value not in (None, MISSING) and not isinstance(value, dict):
            reason = f": no such setting{nearest(name, values.keys() - {name})}"
        if reason is not None:
            is_sound = False
            yield (*path, name), reason, True
        elif isinstance(value, dict) and name not in FREE_KEYS:
            yield from _mistakes_in(value, (*path, name))
    check = CHECKS.get(made) or CHECKS.get(path[-1])
    if is_sound and check is not None:
        try:
            check(values)
        except KeyError as error:
            yield (*path, error.args[0]), ": this key is missing", True
        except TypeError as error:  # a class takes no such parameter
            yield path, f": {error}", True
        except ValueError as error:
            name = str(error).partition("=")[0].partition(":")[0]
            yield (*path, name), str(error).removeprefix(name), False


def _refusal(value: Any, kind: Any) -> str | None:
    """What is wrong with a value, worded to follow its key; None for a valid one."""
    from pydantic import TypeAdapter, ValidationError  # a tenth of a second that --help does without

    if value == MISSING:
        return MISSING
    if isinstance(value, float) and not math.isfinite(value):  # also among keys of another package's
        return f"={value}: must be a finite number"
    try:
        TypeAdapter(kind, config=STRICT).validate_python(value)
    except ValidationError as error:
        details, *others = error.errors()
        template = WORDING.get(details["type"], "{msg}")
        wanted = template.format(msg=details["msg"], **details.get("ctx", {}))
        words = [other["ctx"]["expected"] for other in others if other["type"] == "literal_error"]  # such as 'auto'
        wanted = ", or ".join([wanted, *words])
        in_list = isinstance(value, list) and details["loc"]
        return f"={_as_yaml(value)}: {'each ' if in_list else ''}{wanted}"
    return None


def _as_yaml(value: Any) -> Any:
    if isinstance(value, bool):
        return str(value).lower()
    return "null" if value is None else value


def _as_typed(key: Key, typed: Any) -> str:
    """The key that a value is typed with: `data.pairs` for `datamodule.pairs`, which only passes it on."""
    passed: list[str] = []
    node = typed
    for position, name in enumerate(key):
        passed.append(name)
        node = node.get(name) if isinstance(node, dict) else None
        if isinstance(node, str) and node.startswith("${") and node.endswith("}"):
            source = node[2:-1].removeprefix("oc.select:").split(",")[0]
            if ":" not in source:
                return _as_typed((*source.split("."), *key[position + 1 :]), typed)
    return ".".join(passed)


def nearest(name: str, known: Iterable[str], section: str = "") -> str:
    """The end of a message about an unknown name: the known one that is nearest to it, else all there are."""
    names = [one for one in known if not one.startswith("_")]
    close = get_close_matches(name, names, n=1)
    if close:
        return f"; did you mean {section}{close[0]}?"
    return f"; there are {', '.join(sorted(names))}" if names else ""
