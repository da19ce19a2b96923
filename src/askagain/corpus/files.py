"""The files of a corpus folder."""

from dataclasses import dataclass
from pathlib import Path

from askagain.errors import InputError

NAMES = {"train": "train.tsv", "validation": "validation.tsv", "test": "test.tsv", "corpus": "corpus.txt"}
QUESTIONS = ("questions.jsonl", "questions.parquet")  # with all their fields
PUBLISHED = "published.json"  # metrics that others have reported, by metric and by what reached them


@dataclass(frozen=True)
class CorpusFiles:
    """The files of a corpus; None where a corpus has no such file.

    `train`: one group of duplicates a line. `validation`, `test`: a question, its duplicate and negatives a line.
    `corpus`: one unlabelled text a line.
    """

    train: Path | None
    validation: Path | None
    test: Path | None
    corpus: Path | None

    @classmethod
    def locate(cls, folder: str | None, **paths: str | None) -> "CorpusFiles":
        """The files of `NAMES` in a folder, plain or with `.gz` added.

        `paths`: files to read instead, such as `train_path=FILE`. Raises InputError where one of them is no file,
        `folder` no folder, and where a file is there both plain and compressed.
        """
        if folder is not None and not Path(folder).is_dir():
            raise InputError(f"{folder}: no such folder; it should hold train.tsv and validation.tsv")
        for path in paths.values():
            if path is not None and not Path(path).is_file():
                raise InputError(f"{path}: no such file (a regular file is needed)")
        return cls(**{field: _locate(folder, name, paths.get(f"{field}_path")) for field, name in NAMES.items()})

    def file(self, field: str) -> Path:
        """One of the files; raises InputError where the corpus has none."""
        path: Path | None = getattr(self, field)
        if path is None:
            raise InputError(f"no {NAMES[field]} in the corpus folder; put one there or give its path as {field}_path")
        return path


def _locate(folder: str | None, name: str, path: str | None) -> Path | None:
    if path is not None or folder is None:
        return None if path is None else Path(path)
    files = [file for file in (Path(folder) / name, Path(folder) / f"{name}.gz") if file.is_file()]
    if len(files) > 1:
        raise InputError(f"{folder}: has both {name} and {name}.gz; remove one of them")
    return files[0] if files else None
