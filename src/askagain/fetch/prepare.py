"""Makes of downloaded files what train.py reads."""

import shutil
from pathlib import Path

from askagain.convert.columns import Columns
from askagain.convert.folder import Origin, write_readme
from askagain.convert.layouts import read_groups
from askagain.convert.questions import Questions, QuestionsBuilder
from askagain.corpus.files import PUBLISHED
from askagain.errors import InputError
from askagain.fetch.archive import unpack
from askagain.fetch.catalogue import Dataset
from askagain.files.json_files import write_json
from askagain.files.opened import count_lines
from askagain.files.writing import atomic_write

ZIP = ".zip"
NEEDED = ("train.tsv", "validation.tsv")


def downloaded_groups(entry: Dataset, paths: list[Path]) -> tuple[Questions, str]:
    """The questions of downloaded pairs or groups, and what their columns were taken for."""
    builder = QuestionsBuilder()
    read_as = [read_groups(path, Columns(entry.columns, entry.label), builder) for path in paths]
    return builder.join(), "; ".join(dict.fromkeys(read_as))


def unpack_folder(entry: Dataset, archive: Path, folder: Path, origin: Origin) -> None:
    """Writes the TSV files of an archive that has a corpus already; raises InputError where it lacks one."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(folder) as temporary:
        temporary.mkdir()
        lines = {path.name: count_lines(path) for path in unpack(archive, temporary, [".tsv"])}
        lacking = [name for name in NEEDED if name not in lines]
        if lacking:
            raise InputError(f"{archive}: no {lacking[0]} in it; is it the archive of {entry.name}?")
        if entry.published:
            write_json(temporary / PUBLISHED, entry.published, indent=2)
        write_readme(temporary, folder.name, origin, lines)


def unpack_vectors(path: Path, folder: Path) -> list[Path]:
    """The vector files of a download: those of an archive, unpacked into `folder`, or the file itself."""
    folder.mkdir(parents=True, exist_ok=True)
    if path.suffix == ZIP:
        return unpack(path, folder, [".txt"])
    target = folder / path.name
    with atomic_write(target) as temporary:
        shutil.copyfile(path, temporary)
    return [target]
