"""SHA256SUMS, which `sha256sum -c` reads: whoever gets a folder can check it without this package."""

import hashlib
import re
from collections.abc import Collection
from pathlib import Path

from askagain.files.checksums import DamagedError
from askagain.files.writing import write_text

SHA256SUMS = "SHA256SUMS"
LINE = re.compile(r"(?P<digest>[0-9a-f]{64}) [ *](?P<name>[^/\\\0]+)")


def write_sha256sums(folder: Path) -> None:
    """Writes the SHA-256 of all files in a folder but SHA256SUMS itself, sorted by name."""
    names = sorted(path.name for path in folder.iterdir() if path.is_file() and path.name != SHA256SUMS)
    write_text(folder / SHA256SUMS, [f"{sha256(folder / name)}  {name}\n" for name in names])


def check_sha256sums(folder: Path, skipped: Collection[str] = ()) -> None:
    """Checks the files that SHA256SUMS lists, without those `skipped`; folders without it pass.

    Raises DamagedError where a file is missing or is not what was written, or the list is damaged, and OSError where a
    file cannot be read. Only files in the folder itself are opened.
    """
    if not (folder / SHA256SUMS).exists():
        return
    for line in (folder / SHA256SUMS).read_text(encoding="utf-8", errors="replace").splitlines():
        entry = LINE.fullmatch(line)
        if entry is None or entry["name"] == "..":
            raise DamagedError(f"{SHA256SUMS} is damaged")
        if entry["name"] in skipped:
            continue
        if not (folder / entry["name"]).is_file():
            raise DamagedError(f"{entry['name']} is missing")
        if sha256(folder / entry["name"]) != entry["digest"]:
            raise DamagedError(f"{entry['name']} is not what was written")


def sha256(path: Path) -> str:
    """The SHA-256 of a file's content, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
