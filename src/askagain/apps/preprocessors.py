"""The preprocessors of configs/preprocessor by their names, and the name of any preprocessor."""

from contextlib import suppress
from functools import cache
from typing import Any

from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from askagain.apps.command_line import CONFIGS
from askagain.errors import InputError
from askagain.evaluation.combined import RowRanker
from askagain.evaluation.evaluate import Ranker
from askagain.text.fields import Fields
from askagain.text.preprocessor import TextPreprocessor

CUSTOM = "custom"  # one with settings of its own
OTHER = "its own"  # how a ranker of another package reads text
FOLDER = CONFIGS / "preprocessor"


def named_preprocessor(name: str, fields: Fields | None = None) -> TextPreprocessor:
    """The preprocessor of `configs/preprocessor/NAME.yaml`, for questions of these fields.

    Raises InputError where it cannot be made.
    """
    try:
        made: TextPreprocessor = instantiate(_settings(name))
    except (InstantiationException, OmegaConfBaseException) as error:
        raise InputError(f"preprocessor={name}: cannot be made ({error.__cause__ or error})") from error
    return made if fields is None else made.with_fields(fields)


def preprocessor_name(preprocessor: TextPreprocessor) -> str:
    """What `preprocessor=` chooses it with; `custom` where its settings are in no config. Its fields do not count."""
    settings = _without_fields(preprocessor)
    return next((name for name, known in _known().items() if known == settings), CUSTOM)


def text_seen_by(ranker: Ranker) -> str:
    """The name of a ranker's preprocessor."""
    reader: Any = ranker.encoder if isinstance(ranker, RowRanker) else ranker
    preprocessor = getattr(reader, "preprocessor", None)
    return preprocessor_name(preprocessor) if isinstance(preprocessor, TextPreprocessor) else OTHER


@cache
def _known() -> dict[str, dict[str, Any]]:
    names = sorted((path.stem for path in FOLDER.glob("*.yaml")), key=lambda name: (name != "standard", name))
    known = {}
    for name in names:
        with suppress(InputError):  # of the user's own, for another environment
            known[name] = _without_fields(named_preprocessor(name))
    return known


def _without_fields(preprocessor: TextPreprocessor) -> dict[str, Any]:
    return preprocessor.to_dict() | {"fields": None}


def _settings(name: str) -> DictConfig:
    """A config with those of its defaults list, as Hydra would compose them."""
    own: Any = OmegaConf.load(FOLDER / f"{name}.yaml")
    bases = [_settings(base) for base in own.pop("defaults", []) if base != "_self_"]
    merged: Any = OmegaConf.merge(*bases, own)
    return merged
