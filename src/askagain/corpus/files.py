"""The files of a corpus folder."""

from dataclasses import dataclass
from pathlib import Path

from askagain.errors import InputError


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
    def locate(
        cls,
        folder: str | None,
        train_path: str | None = None,
        validation_path: str | None = None,
        test_path: str | None = None,
        corpus_path: str | None = None,
    ) -> "CorpusFiles":
        """Finds the files in a folder, plain or with `.gz` added.

        Args:
            folder: holds train.tsv, validation.tsv, test.tsv and corpus.txt, or some of them.
            train_path: the file to read instead of train.tsv; the other paths likewise.
            validation_path: instead of validation.tsv.
            test_path: instead of test.tsv.
            corpus_path: instead of corpus.txt.

        Raises:
            InputError: `folder` is no folder, or a path is no file.
        """
        if folder is not None and not Path(folder).is_dir():
            raise InputError(f"{folder}: no such folder; it should hold train.tsv and validation.tsv")

        def find(given: str | None, name: str) -> Path | None:
            if given is not None:
                if not Path(given).is_file():
                    raise InputError(f"{given}: no such file (a regular file is needed)")
                return Path(given)
            if folder is None:
                return None
            candidates = (Path(folder) / name, Path(folder) / f"{name}.gz")
            return next((path for path in candidates if path.is_file()), None)

        return cls(
            find(train_path, "train.tsv"),
            find(validation_path, "validation.tsv"),
            find(test_path, "test.tsv"),
            find(corpus_path, "corpus.txt"),
        )

    def ranking(self, split: str) -> Path:
        """The ranking file of `validation` or `test`; raises InputError where the corpus has none."""
        if split not in ("validation", "test"):
            raise InputError(f"split={split}: not one of validation, test")
        path = self.validation if split == "validation" else self.test
        if path is None:
            raise InputError(missing(f"{split}.tsv", f"{split}_path"))
        return path

    def groups(self) -> Path:
        """The file of duplicate groups; raises InputError where the corpus has none."""
        if self.train is None:
            raise InputError(missing("train.tsv", "train_path"))
        return self.train


def missing(name: str, parameter: str) -> str:
    """The message for a file that a corpus lacks."""
    return f"no {name} in the corpus folder; put one there or give its path as {parameter}"
