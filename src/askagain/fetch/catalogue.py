"""What can be fetched, read from catalogue.toml."""

import os
import tomllib
from dataclasses import dataclass, field
from difflib import get_close_matches
from importlib.resources import files
from pathlib import Path
from typing import Any

from askagain.errors import InputError

OTHER_CATALOGUE = "ASKAGAIN_CATALOGUE"  # names a file of the same kind, for a mirror


@dataclass(frozen=True)
class RemoteFile:
    """A file to download; `bytes`, `sha256` and `md5` where they are known."""

    url: str
    name: str
    bytes: int | None = None
    sha256: str | None = None
    md5: str | None = None


@dataclass(frozen=True)
class Dataset:
    """An entry of the catalogue.

    `kind`: `groups`, `folder` or `vectors`. `columns`, `label`: see `askagain.convert.layouts.Columns`. `published`:
    metrics that others have reported on it, by metric and by what reached them.
    """

    name: str
    about: str
    kind: str
    licence: str
    files: tuple[RemoteFile, ...]
    columns: tuple[str, ...] = ()
    label: str | None = None
    published: dict[str, dict[str, float]] = field(default_factory=dict)


def catalogue() -> dict[str, Dataset]:
    """All entries by name."""
    other = os.environ.get(OTHER_CATALOGUE)
    try:
        content = (
            Path(other).read_text("utf-8") if other else (files(__package__) / "catalogue.toml").read_text("utf-8")
        )
        return {name: _dataset(name, entry) for name, entry in tomllib.loads(content).items()}
    except (OSError, tomllib.TOMLDecodeError, TypeError, KeyError) as error:
        raise InputError(f"{OTHER_CATALOGUE}={other}: cannot be read as a catalogue ({error})") from error


def dataset(name: str) -> Dataset:
    """The entry of a name; raises InputError with the nearest name where there is none."""
    known = catalogue()
    if name not in known:
        near = get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]}?" if near else "see askagain fetch --list"
        raise InputError(f"{name}: nothing of this name can be fetched; {hint}")
    return known[name]


def _dataset(name: str, entry: dict[str, Any]) -> Dataset:
    remote = tuple(RemoteFile(**file) for file in entry["files"])
    columns = tuple(entry.get("columns", ()))
    return Dataset(name, **{**entry, "files": remote, "columns": columns})
