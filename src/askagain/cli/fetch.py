"""`askagain fetch`: public data sets and word vectors."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from askagain.cli.corpus_folder import origin_of, report

if TYPE_CHECKING:
    from askagain.fetch.catalogue import Dataset

PATH = click.Path(path_type=Path)


@click.command()
@click.argument("name", required=False)
@click.option("--list", "show_all", is_flag=True, help="Show what there is, with licences.")
@click.option("-o", "--out", "folder", type=PATH, help="The folder to write [data/NAME; vectors/NAME for vectors].")
@click.option("--overwrite", is_flag=True, help="Replace a folder that was made in this way.")
@click.option("--from", "given", multiple=True, type=PATH, help="A file that was downloaded otherwise; once for each.")
@click.option("--downloads", type=PATH, help="Where downloads are kept [the cache].")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of the split of groups.")
def fetch(
    name: str | None,
    show_all: bool,
    folder: Path | None,
    overwrite: bool,
    given: tuple[Path, ...],
    downloads: Path | None,
    seed: int,
) -> None:
    """Public data to train on, and word vectors.

    An interrupted download is continued by the next one. NAME is one of those that --list shows.

    \b
    Examples:
      askagain fetch --list
      askagain fetch quora -o data/quora
      askagain fetch stackoverflow_course --from stackoverflow_similar_questions.zip -o data/course
    """
    from askagain.errors import InputError
    from askagain.fetch.catalogue import catalogue, dataset

    if show_all:
        _print_all(catalogue())
        return
    if name is None:
        raise InputError("the name of a data set is needed; askagain fetch --list shows them")
    entry = dataset(name)
    if given and len(given) != len(entry.files):
        wanted = ", ".join(file.name for file in entry.files)
        raise InputError(f"--from: {name} is {wanted}; give --from once for each, in this order")
    folder = folder or Path("vectors" if entry.kind == "vectors" else "data") / name
    click.echo(f"{name}: {entry.about}; licence: {entry.licence}")
    if entry.kind == "vectors":
        _fetch_vectors(entry, folder, _files(entry, given, downloads))
    else:
        _fetch_corpus(entry, folder, given, downloads, overwrite, seed)


def _fetch_corpus(
    entry: "Dataset", folder: Path, given: tuple[Path, ...], downloads: Path | None, overwrite: bool, seed: int
) -> None:
    from askagain.convert.folder import check_new, write_split
    from askagain.convert.split import SplitSettings, split
    from askagain.fetch.prepare import downloaded_groups, unpack_folder

    check_new(folder, overwrite, given)
    paths = _files(entry, given, downloads)
    if entry.kind == "folder":
        unpack_folder(entry, paths[0], folder, origin_of(folder, paths, entry.about, None, entry.licence))
        report(folder, {})
        return
    questions, read_as = downloaded_groups(entry, paths)
    settings = SplitSettings(seed=seed)
    parts = split(questions, settings)
    write_split(folder, questions, parts, origin_of(folder, paths, read_as, settings, entry.licence))
    report(folder, {**questions.counts, **parts.counts})


def _fetch_vectors(entry: "Dataset", folder: Path, paths: list[Path]) -> None:
    from askagain.fetch.prepare import unpack_vectors

    written = [file for path in paths for file in unpack_vectors(path, folder)]
    for file in written:
        click.echo(f"wrote {file}")
    click.echo(f"next: python train.py experiment=word_vectors vectors=file vectors.path={written[0]}")


def _files(entry: "Dataset", given: tuple[Path, ...], downloads: Path | None) -> list[Path]:
    """The files of an entry, downloaded where they were not given."""
    from askagain.fetch.download import check_file, download
    from askagain.files.opened import refuse_unreadable

    if given:
        for file, path in zip(entry.files, given, strict=True):
            refuse_unreadable(path)
            check_file(file, path)
        return list(given)
    kept = downloads or Path(os.environ.get("ASKAGAIN_CACHE", ".cache")) / "downloads"
    for file in entry.files:
        click.echo(f"fetching {file.url} to {kept / file.name}")
        download(file, kept / file.name)
    return [kept / file.name for file in entry.files]


def _print_all(entries: "dict[str, Dataset]") -> None:
    for name, entry in entries.items():
        sizes = [file.bytes for file in entry.files if file.bytes is not None]
        size = f"; {sum(sizes) / 1e6:,.0f} MB" if len(sizes) == len(entry.files) else ""
        click.echo(f"{name}\n  {entry.about}{size}\n  licence: {entry.licence}")
