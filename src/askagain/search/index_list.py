"""What holds in an index: the list of its segments and removed questions, `index.json`."""

import hashlib
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from askagain.errors import InputError
from askagain.files.checksums import CHECKSUMS
from askagain.files.json_files import read_sealed_json, write_sealed_json
from askagain.files.writing import atomic_write

FORMAT = 2
READ_FORMATS = (1, FORMAT)  # the first one had no journal
LIST, ENCODER, TERMS, LOCK = "index.json", "encoder", "terms", ".lock"


@dataclass(frozen=True)
class Hybrid:
    """A ranker that counts terms, beside the encoder. `weight`: of its z-scores; `rest`: see `save_ranker`."""

    name: str
    weight: float
    rest: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class IndexList:
    """The content of `index.json`.

    `removed`: a file of [n, 2] int64, segment and row of each removed question. `digests`: of that file and of those of
    the terms, by name. `journal`: the file of later changes, in `askagain.search.journal`'s format.
    """

    encoder: str
    kind: str
    segments: list[str]
    next: int
    removed: str | None = None
    hybrid: Hybrid | None = None
    digests: dict[str, str] = field(default_factory=dict)
    journal: str | None = None


def fingerprint(folder: Path) -> str:
    """A digest of a saved encoder, which tells its vectors from those of others."""
    try:
        return hashlib.sha256((folder / CHECKSUMS).read_bytes()).hexdigest()
    except OSError as error:
        raise InputError(f"{folder}: no encoder with checksums here; save it again") from error


def is_index(folder: Path) -> bool:
    """Whether a folder is an index, and holds nothing else."""
    own = (LIST, ENCODER, TERMS, LOCK)
    return (folder / LIST).is_file() and all(
        path.name in own or path.name.startswith(("segment-", "removed-", "journal-", ".")) for path in folder.iterdir()
    )


def digest(path: Path) -> str:
    """The SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_digest(folder: Path, name: str, listed: IndexList) -> None:
    """Raises ValueError where a file is not what was written."""
    if digest(folder / name) != listed.digests.get(name):
        raise ValueError(f"{name} is not what was written")


def read_list(folder: Path) -> IndexList:
    """The list of an index; raises InputError where it is damaged."""
    try:
        content = read_sealed_json(folder / LIST)
        if content.pop("format") not in READ_FORMATS:
            raise ValueError("it has another format than this version reads")
        hybrid = content.pop("hybrid")
        return IndexList(**content, hybrid=None if hybrid is None else Hybrid(**hybrid))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{folder}: {LIST} is damaged ({error}); build the index again") from error


def write_list(folder: Path, listed: IndexList) -> None:
    """Makes a list the one that holds, on the disk too: the files that it no longer names may be removed then."""
    with atomic_write(folder / LIST, durable=True) as temporary:
        write_sealed_json(temporary, {"format": FORMAT, **asdict(listed)})
