"""Writes a corpus folder: train.tsv, ranking sets, corpus.txt, and a README.md that says how they were made."""

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

from askagain.convert.questions import Questions
from askagain.convert.split import Split
from askagain.corpus.files import PUBLISHED
from askagain.errors import InputError
from askagain.files.progress import with_progress
from askagain.files.writing import atomic_write

README = "README.md"
MADE = "Made by askagain"
LARGE_SOURCE = 1 << 30  # bytes; hashing a larger file would be a second pass over it


@dataclass
class Origin:
    """Where the texts of a corpus come from, for its README.md.

    `command`: as it was typed. `sources`: the files that were read. `read_as`: what they were taken for. `licence`:
    a sentence, or None where it is not known.
    """

    command: str
    sources: Sequence[Path]
    read_as: str
    licence: str | None = None
    remarks: list[str] = field(default_factory=list)


def check_new(folder: Path, overwrite: bool, sources: Iterable[Path] = ()) -> None:
    """Raises InputError where a folder cannot be written, or would replace what is not to be replaced.

    That is a folder which this program has not made, which has other files or one of the `sources`, or which nobody
    said to `overwrite`.
    """
    parent = next(path for path in folder.absolute().parents if path.exists())
    if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
        what = "may not be written to" if parent.is_dir() else "is no folder"
        raise InputError(f"{folder}: {parent} {what}; choose another folder with -o")
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise InputError(f"{folder}: there is a file of this name; choose another one with -o")
    content = [path.name for path in folder.iterdir()] if folder.exists() else []
    if not content:
        return
    if not overwrite:
        raise InputError(f"{folder}: not empty; choose another folder with -o, or type --overwrite")
    made = {README, PUBLISHED, "train.tsv", "validation.tsv", "test.tsv", "corpus.txt", "questions.jsonl"}
    others = sorted(set(content) - made)
    others += [source.name for source in sources if folder.resolve() in (source.resolve(), *source.resolve().parents)]
    if others:
        raise InputError(
            f"{folder}: has other files, such as {others[0]}, which --overwrite would remove; choose another"
        )
    if not (folder / README).is_file() or MADE not in (folder / README).read_text("utf-8", "replace"):
        raise InputError(f"{folder}: its README.md does not say that askagain made it; choose another folder with -o")


def write_split(folder: Path, questions: Questions, split: Split, origin: Origin, posts: Path | None = None) -> None:
    """Writes a split of questions; the folder appears whole or not at all.

    `posts`: a file of the questions with all their fields, which is moved into the folder.
    """
    texts = questions.texts
    files: dict[str, Iterable[Sequence[str]]] = {
        "train.tsv": ([texts[text] for text in split.train.bag(group).tolist()] for group in range(len(split.train)))
    }
    for name, rows in split.rankings.items():
        if rows:
            files[f"{name}.tsv"] = ([texts[text] for text in row.tolist()] for row in rows)
    if len(split.unlabelled):
        files["corpus.txt"] = ((texts[text],) for text in split.unlabelled.tolist())
    write_rows(folder, files, origin, {**questions.counts, **split.counts}, posts)


def write_rows(
    folder: Path,
    files: Mapping[str, Iterable[Sequence[str]]],
    origin: Origin,
    counts: Mapping[str, int],
    posts: Path | None = None,
) -> None:
    """Writes files of tab-separated rows and their README.md; the folder appears whole or not at all."""
    with atomic_write(folder) as temporary:
        temporary.mkdir()
        lines = {}
        for name, rows in files.items():
            with (temporary / name).open("w", encoding="utf-8", newline="\n") as file:
                lines[name] = 0
                for row in with_progress(rows, None, f"writing {name}"):
                    file.write("\t".join(row) + "\n")
                    lines[name] += 1
        if posts is not None:
            posts.rename(temporary / posts.name)
        write_readme(temporary, folder.name, origin, lines, counts)


def write_readme(
    folder: Path, name: str, origin: Origin, lines: Mapping[str, int], counts: Mapping[str, int] | None = None
) -> None:
    """Writes the README.md of a folder that will be called `name`; `lines`: in each of its files."""
    said = f"# {name}\n\n" + "".join(_readme(folder, lines, origin, counts or {}))
    (folder / README).write_text(said, encoding="utf-8")


def _readme(folder: Path, lines: Mapping[str, int], origin: Origin, counts: Mapping[str, int]) -> Iterator[str]:
    meaning = {
        "train.tsv": "a group of questions that ask the same",
        "validation.tsv": "a question, its duplicate, and other questions; chooses the epoch",
        "test.tsv": "likewise, for the figures to quote",
        "corpus.txt": "one unlabelled question",
        "questions.jsonl": "a question with its title, body, code, tags and date",
        PUBLISHED: "metrics that others have reported; a run shows them beside its own",
    }
    yield f"{MADE} {version('askagain')} with\n\n    {origin.command}\n\n"
    yield "| file | lines | a line |\n| --- | --- | --- |\n"
    for path in sorted(folder.iterdir()):
        yield f"| `{path.name}` | {lines.get(path.name, '')} | {meaning.get(path.name, '')} |\n"
    yield f"\nRead as: {origin.read_as}.\n\n"
    yield "| source | bytes | SHA-256 |\n| --- | --- | --- |\n"
    for source in origin.sources:
        for path in [source] if source.is_file() else sorted(path for path in source.rglob("*") if path.is_file()):
            size = path.stat().st_size
            yield f"| `{path}` | {size} | {_digest(path) if size <= LARGE_SOURCE else ''} |\n"
    if any(counts.values()):
        yield "\n| count | |\n| --- | --- |\n"
    for name, count in counts.items():
        if count:
            yield f"| {name} | {count} |\n"
    if counts:
        yield "\nNo question of a held-out group is in `train.tsv` or `corpus.txt`. Texts that differ in case, white "
        yield "space or marks\nat their end alone are one question.\n"
    for remark in origin.remarks:
        yield f"\n{remark}\n"
    yield f"\nLicence: {origin.licence or 'that of the sources'}\n"


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
