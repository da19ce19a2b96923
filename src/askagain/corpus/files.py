"""Which file of a corpus folder holds what."""

from dataclasses import dataclass
from pathlib import Path

from askagain.errors import InputError


@dataclass(frozen=True)
class CorpusFiles:
    """The files of a corpus; None where a corpus has no such file.

    `train`: one group of duplicates a line. `validation`, `test`: question, duplicate, negatives. `corpus`: unlabelled
    texts, one a line.
    """

    train: Path | None
    validation: Path | None
    test: Path | None
    corpus: Path | None

    @classmethod
    def locate(
        cls,
        folder: str | None,
        train_path: str | None = None,
        validation_path: str | None = None,
        test_path: str | None = None,
        corpus_path: str | None = None,
    ) -> "CorpusFiles":
        """Finds the files in `folder`, plain or with `.gz` added; a path given for one of them is taken instead.

        Raises InputError where `folder` is given and is no folder, and where a given path is no file.
        """
        if folder is not None and not Path(folder).is_dir():
            raise InputError(f"data.dir={folder}: no such folder; it should hold train.tsv and validation.tsv")

        def find(given: str | None, name: str, setting: str) -> Path | None:
            if given is not None:
                if not Path(given).is_file():
                    raise InputError(f"data.{setting}={given}: no such file (a regular file is needed)")
                return Path(given)
            if folder is None:
                return None
            candidates = (Path(folder) / name, Path(folder) / f"{name}.gz")
            return next((path for path in candidates if path.is_file()), None)

        return cls(
            find(train_path, "train.tsv", "train_path"),
            find(validation_path, "validation.tsv", "validation_path"),
            find(test_path, "test.tsv", "test_path"),
            find(corpus_path, "corpus.txt", "corpus_path"),
        )

    def ranking(self, split: str) -> Path:
        """The ranking file of `validation` or `test`; raises InputError where the corpus has none."""
        if split not in ("validation", "test"):
            raise InputError(f"data.split={split}: not one of validation, test")
        path = self.validation if split == "validation" else self.test
        if path is None:
            raise InputError(f"no {split}.tsv in data.dir; put one there or set data.{split}_path=FILE")
        return path

    def groups(self) -> Path:
        """The file of duplicate groups; raises InputError where the corpus has none."""
        if self.train is None:
            raise InputError("no train.tsv in data.dir; put one there or set data.train_path=FILE")
        return self.train
