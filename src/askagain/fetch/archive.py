"""Unpacks the files of a zip archive that are wanted; nothing is written outside of the folder."""

import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from askagain.errors import InputError
from askagain.files.progress import bytes_progress_bar
from askagain.files.writing import atomic_write

CHUNK_BYTES = 1 << 20
ENCRYPTED = 1  # of a member's flags


def unpack(archive: Path, folder: Path, suffixes: Iterable[str]) -> list[Path]:
    """Writes the archive's files with these endings into `folder`, by their names without folders; returns their paths.

    Raises InputError where the archive is damaged, or has no such file, or two of one name.
    """
    try:
        with zipfile.ZipFile(archive) as packed:
            members = [member for member in packed.infolist() if _is_wanted(member, tuple(suffixes))]
            names = [PurePosixPath(member.filename).name for member in members]
            if not names:
                raise InputError(f"{archive}: no {' or '.join(suffixes)} file in it")
            if any(member.flag_bits & ENCRYPTED for member in members):
                raise InputError(f"{archive}: encrypted; unpack it by hand")
            if len(set(names)) < len(names):
                raise InputError(f"{archive}: two of its files have one name; unpack it by hand")
            for member, name in zip(members, names, strict=True):
                _write(packed, member, folder / name)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise InputError(f"{archive}: damaged or no zip archive ({error}); remove it and fetch it again") from error
    return [folder / name for name in names]


def _is_wanted(member: zipfile.ZipInfo, suffixes: tuple[str, ...]) -> bool:
    name = PurePosixPath(member.filename).name
    hidden = name.startswith((".", "__")) or "__MACOSX" in member.filename
    return not member.is_dir() and not hidden and name.endswith(suffixes)


def _write(packed: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path) -> None:
    with bytes_progress_bar() as bar, packed.open(member) as source, atomic_write(path) as temporary:
        task = bar.add_task(f"unpacking {path.name}", total=member.file_size)
        with temporary.open("wb") as out:
            while piece := source.read(CHUNK_BYTES):
                out.write(piece)
                bar.update(task, advance=len(piece))
