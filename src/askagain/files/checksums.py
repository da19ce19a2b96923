"""Checksums of the files in a folder: written with them, and checked before their content is used.

They notice accidents, such as a flipped bit, a file that was cut or one of another folder; they are no signature.
"""

import hashlib
import json
import random
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from askagain.files.json_files import write_json

CHECKSUMS = "checksums.json"
BLOCK_BYTES = 1 << 20
DIGITS = 32  # of a block's digest: 128 bits
SAMPLED_BLOCKS = 8  # of each file
BLOCKS_TOGETHER = 8  # that a thread reads of a file that it opens once
THREADS = 2


class DamagedError(ValueError):
    """A file does not have the content that it was written with; the message names it."""


def write_checksums(folder: Path, contents: dict[str, bytes] | None = None) -> None:
    """Writes `checksums.json`: the size and the digests of all files in a folder, or of `contents` by file name."""
    if contents is None:
        sizes = {path: path.stat().st_size for path in _files(folder)}
        part_bytes = BLOCKS_TOGETHER * BLOCK_BYTES
        parts = [(path, start) for path, size in sizes.items() for start in range(0, size, part_bytes)]
        sums: dict[str, dict[str, Any]] = {path.name: {"size": size, "blocks": []} for path, size in sizes.items()}
        with ThreadPoolExecutor(THREADS) as pool:  # hashing releases the interpreter lock
            for (path, _), digests in zip(parts, pool.map(_digests_from, parts), strict=True):
                sums[path.name]["blocks"] += digests
    else:
        sums = {name: {"size": len(content), "blocks": _digests(content)} for name, content in contents.items()}
    write_json(folder / CHECKSUMS, sums)


class _Part(NamedTuple):
    """Blocks of a file: the digest of each, by its number."""

    path: Path
    digests: list[tuple[int, str]]


def check_files(
    folder: Path, names: Iterable[str] | None = None, sampled: bool = False, threads: int = THREADS
) -> None:
    """Checks the files in a folder (None: all that are there) against its `checksums.json`.

    Raises DamagedError where one of them, or the list, is missing or is not what was written, and OSError where a file
    cannot be read. Only files in the folder itself are opened. With `sampled` the sizes of all files and some blocks of
    each are checked. With one of `threads` no other than the caller's is used.
    """
    sums = _listed(folder)
    present = [path.name for path in _files(folder)] if names is None else list(names)
    if names is None and set(present) != set(sums):
        name = min(set(present) ^ set(sums))
        raise DamagedError(f"{name} is missing" if name in sums else f"{name} does not belong there")
    parts: list[_Part] = []
    for name in present:
        entry, path = sums.get(name), folder / name
        if entry is None:
            raise DamagedError(f"{name} is not in {CHECKSUMS}")
        if not path.is_file() or path.stat().st_size != entry["size"]:
            raise DamagedError(f"{name} does not have the size that it was written with")
        blocks: Sequence[int] = range(len(entry["blocks"]))
        if sampled and len(blocks) > SAMPLED_BLOCKS:
            blocks = sorted({0, len(blocks) - 1, *random.SystemRandom().sample(blocks, SAMPLED_BLOCKS - 2)})
        digests = [(number, entry["blocks"][number]) for number in blocks]
        starts = range(0, len(digests), BLOCKS_TOGETHER)
        parts += [_Part(path, digests[start : start + BLOCKS_TOGETHER]) for start in starts]
    if threads == 1:
        _check_all(parts, map(_is_right, parts))
        return
    with ThreadPoolExecutor(threads) as pool:  # hashing releases the interpreter lock
        try:
            _check_all(parts, pool.map(_is_right, parts))
        finally:
            pool.shutdown(cancel_futures=True)


def _check_all(parts: Sequence[_Part], are_right: Iterable[bool]) -> None:
    for part, is_right in zip(parts, are_right, strict=True):
        if not is_right:
            raise DamagedError(f"{part.path.name} is not what was written")


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


def _digests_from(part: tuple[Path, int]) -> list[str]:
    """The digests of the blocks of a part of a file, which begins at the given byte."""
    path, start = part
    with path.open("rb") as file:
        file.seek(start)
        return _digests(file.read(BLOCKS_TOGETHER * BLOCK_BYTES))


def _digests(content: bytes) -> list[str]:
    view = memoryview(content)
    return [_digest(view[start : start + BLOCK_BYTES]) for start in range(0, len(content), BLOCK_BYTES)]


def _digest(block: bytes | memoryview) -> str:
    return hashlib.sha256(block).hexdigest()[:DIGITS]


def _is_right(part: _Part) -> bool:
    with part.path.open("rb") as file:
        for number, digest in part.digests:
            file.seek(number * BLOCK_BYTES)
            if _digest(file.read(BLOCK_BYTES)) != digest:
                return False
    return True
