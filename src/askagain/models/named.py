"""Encoders by name: those built on this machine, and those in installed packages."""

import os
import re
import sys
from importlib.util import find_spec
from pathlib import Path

from askagain.errors import InputError

NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_-]{0,62}[A-Za-z0-9])?")
PACKAGE = "askagain_encoder_"  # followed by the name, in which a dash becomes an underscore


def located(path: str | Path) -> Path:
    """The path itself or, for a name that is no path here, the folder of the encoder of this name.

    An encoder that was built on this machine comes before one in a package. Raises InputError for a name that neither
    has.
    """
    name = str(path)
    if not _may_name(name):
        return Path(path)
    folder = named_folder(name)
    if folder is None:
        remedy = "give a run folder of train.py, its encoder folder or a .ckpt file, or install its package with pip"
        raise InputError(
            f"{name}: no encoder here, none in {built_folder(name)}, and no package {package_of(name)}; {remedy}"
        )
    return folder


def named_folder(name: str) -> Path | None:
    """The folder of the encoder of a name; None where there is none, or the name is a path here."""
    if not _may_name(name):
        return None
    folders = (built_folder(name), _package_folder(name))
    return next((folder for folder in folders if folder is not None and folder.is_dir()), None)


def check_name(name: str) -> None:
    """Raises InputError for a text that cannot be an encoder's name."""
    if NAME.fullmatch(name) is None:
        raise InputError(
            f"{name}: a name has up to 64 letters (a to z), digits, - and _, and a letter or digit at both ends"
        )


def built_folder(name: str) -> Path:
    """Where the encoder of a name is, if it was built on this machine."""
    return data_folder() / "encoders" / name


def package_of(name: str) -> str:
    """The Python package that an encoder of a name is installed as."""
    return PACKAGE + name.replace("-", "_")


def data_folder() -> Path:
    """The user's folder for what askagain keeps: `ASKAGAIN_HOME`, else where the system has such folders.

    Raises InputError where the user has no home folder.
    """
    own, shared = (os.environ.get(variable, "") for variable in ("ASKAGAIN_HOME", "XDG_DATA_HOME"))
    try:
        if own:
            return Path(own).expanduser()
        if sys.platform == "win32":
            return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "askagain"
        if sys.platform == "darwin":
            return Path.home() / "Library" / "Application Support" / "askagain"
        # A relative path there must be ignored, says the XDG Base Directory Specification.
        return (Path(shared) if Path(shared).is_absolute() else Path.home() / ".local" / "share") / "askagain"
    except RuntimeError as error:
        raise InputError("this user has no home folder; set ASKAGAIN_HOME to a folder for encoders") from error


def _may_name(text: str) -> bool:
    return NAME.fullmatch(text) is not None and not Path(text).exists()


def _package_folder(name: str) -> Path | None:
    """The folder of an installed package, which is not imported."""
    spec = find_spec(package_of(name))
    places = None if spec is None else spec.submodule_search_locations
    return Path(next(iter(places))) if places else None
