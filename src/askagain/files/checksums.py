"""Checksums of the files in a folder: written with them, and checked before their content is used.

They notice accidents, such as a flipped bit, a file that was cut or one of another folder; they are no signature.
"""

import hashlib
import json
import random
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from askagain.files.json_files import write_json

CHECKSUMS = "checksums.json"
BLOCK_BYTES = 1 << 20
DIGITS = 32  # of a block's digest: 128 bits
SAMPLED_BLOCKS = 8  # of each file
THREADS = 2


class DamagedError(ValueError):
    """A file does not have the content that it was written with; the message names it."""


def write_checksums(folder: Path, contents: dict[str, bytes] | None = None) -> None:
    """Writes `checksums.json`: the size and the digests of all files in a folder, or of `contents` by file name."""
    if contents is None:
        sums = {path.name: _sums(_blocks(path)) for path in _files(folder)}
    else:
        sums = {name: _sums(_cut(content)) for name, content in contents.items()}
    write_json(folder / CHECKSUMS, sums)


def check_files(folder: Path, names: Iterable[str] | None = None, sampled: bool = False) -> None:
    """Checks the files in a folder (None: all that are there) against its `checksums.json`.

    Raises DamagedError where one of them, or the list, is missing or is not what was written, and OSError where a file
    cannot be read. Only files in the folder itself are opened. With `sampled` the sizes of all files and some blocks of
    each are checked.
    """
    sums = _listed(folder)
    present = [path.name for path in _files(folder)] if names is None else list(names)
    if names is None and set(present) != set(sums):
        raise DamagedError(f"{_first_difference(present, sums)} is missing, or is one file too many")
    checked: list[tuple[Path, int, str]] = []
    for name in present:
        entry, path = sums.get(name), folder / name
        if entry is None:
            raise DamagedError(f"{name} is not in {CHECKSUMS}")
        if not path.is_file() or path.stat().st_size != entry["size"]:
            raise DamagedError(f"{name} does not have the size that it was written with")
        blocks: Sequence[int] = range(len(entry["blocks"]))
        if sampled and len(blocks) > SAMPLED_BLOCKS:
            blocks = sorted({0, len(blocks) - 1, *random.SystemRandom().sample(blocks, SAMPLED_BLOCKS - 2)})
        checked += [(path, number, entry["blocks"][number]) for number in blocks]
    with ThreadPoolExecutor(THREADS) as pool:  # hashing releases the interpreter lock
        for (path, _, _), right in zip(checked, pool.map(_is_right, checked, chunksize=8), strict=True):
            if not right:
                pool.shutdown(cancel_futures=True)
                raise DamagedError(f"{path.name} is not what was written")


def _listed(folder: Path) -> dict[str, Any]:
    try:
        sums = json.loads((folder / CHECKSUMS).read_bytes())
    except FileNotFoundError:
        raise DamagedError(f"{CHECKSUMS} is missing") from None
    except (ValueError, RecursionError):
        raise DamagedError(f"{CHECKSUMS} is damaged") from None
    if not isinstance(sums, dict) or not all(_is_entry(name, entry) for name, entry in sums.items()):
        raise DamagedError(f"{CHECKSUMS} is damaged")
    return sums


def _is_entry(name: str, entry: Any) -> bool:
    return (
        Path(name).name == name not in ("", "..")
        and isinstance(entry, dict)
        and type(entry.get("size")) is int
        and isinstance(entry.get("blocks"), list)
        and len(entry["blocks"]) == -(-entry["size"] // BLOCK_BYTES)
    )


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.name != CHECKSUMS and not path.name.startswith("."))


def _blocks(path: Path) -> Iterable[bytes]:
    with path.open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            yield block


def _cut(content: bytes) -> Iterable[bytes]:
    return (content[start : start + BLOCK_BYTES] for start in range(0, len(content), BLOCK_BYTES))


def _sums(blocks: Iterable[bytes]) -> dict[str, Any]:
    size, digests = 0, []
    for block in blocks:
        size += len(block)
        digests.append(_digest(block))
    return {"size": size, "blocks": digests}


def _digest(block: bytes) -> str:
    return hashlib.sha256(block).hexdigest()[:DIGITS]


def _is_right(block: tuple[Path, int, str]) -> bool:
    path, number, digest = block
    with path.open("rb") as file:
        file.seek(number * BLOCK_BYTES)
        return _digest(file.read(BLOCK_BYTES)) == digest


def _first_difference(names: Sequence[str], listed: Iterable[str]) -> str:
    return min(set(names) ^ set(listed))
