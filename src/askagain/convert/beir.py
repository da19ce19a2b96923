"""Reads data sets laid out as BEIR does: corpus, queries, and relevance judgements (qrels) that link them."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from askagain.convert.questions import QuestionsBuilder
from askagain.convert.tables import SUFFIXES, CellError, Record, get, read_table, table_suffix
from askagain.errors import InputError

SPLITS = ("train", "dev", "validation", "test")


class Judgement(NamedTuple):
    """A query and a document, by their ids; `score` above 0 where it is relevant."""

    query: str
    document: str
    score: float


class BeirFolder:
    """A data set in BEIR's layout, as files or as the folders of Parquet that the Hugging Face hub has.

    `queries`, `documents`: texts by id. Raises InputError for a folder without corpus, queries or judgements.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.queries = dict(_texts(_part(folder, "queries")))
        self.documents = dict(_texts(_part(folder, "corpus")))
        self._judged = _judged(folder)
        if not self._judged:
            raise InputError(
                f"{folder}: no qrels; it should have qrels/test.tsv or data/test.jsonl beside corpus and queries"
            )

    @staticmethod
    def is_in(folder: Path) -> bool:
        """Whether a folder looks like one."""
        return folder.is_dir() and all(_find(folder, name) is not None for name in ("corpus", "queries"))

    @property
    def splits(self) -> list[str]:
        """The names of its sets of judgements."""
        return list(self._judged)

    def judgements(self, split: str) -> Iterator[Judgement]:
        """The judgements of one set; raises InputError for ids that are not there, naming the line."""
        path = self._judged[split]
        for record in read_table(path, named=True):
            cells = record.cells
            values = list(cells.values()) if isinstance(cells, dict) else cells
            if isinstance(cells, dict) and {"query-id", "corpus-id"} <= set(cells):
                values = [cells["query-id"], cells["corpus-id"], cells.get("score", 1)]
            yield self._judgement(path, record, [str(value).strip() for value in values])

    def _judgement(self, path: Path, record: Record, values: list[str]) -> Judgement:
        try:
            query, document, score = values
            judged = Judgement(query, document, float(score))
        except ValueError as error:
            raise InputError(
                f"{path}, line {record.line}: should be the id of a query, the id of a document and a score"
            ) from error
        if query not in self.queries or document not in self.documents:
            lacking = f"query {query}" if query not in self.queries else f"document {document}"
            raise InputError(f"{path}, line {record.line}: there is no {lacking}")
        return judged


def read_beir(folder: Path, builder: QuestionsBuilder) -> str:
    """Reads all judgements as duplicates and all other documents as unlabelled texts; returns this in words."""
    source = BeirFolder(folder)
    for split in source.splits:
        for judged in source.judgements(split):
            if judged.score > 0:
                pair = [source.queries[judged.query], source.documents[judged.document]]
                if not builder.add_group(pair):
                    builder.count("judgements without two texts")
    for text in source.documents.values():
        builder.add(text, unlabelled=True)
    return f"queries and their relevant documents ({', '.join(source.splits)})"


def _judged(folder: Path) -> dict[str, Path]:
    """The files of judgements, by split."""
    paths = {}
    for place in (folder / "qrels", folder / "data", folder / "default", folder):
        for split in SPLITS:
            for path in sorted(place.glob(f"{split}*")) if place.is_dir() else []:
                if table_suffix(path) in SUFFIXES and split not in paths:
                    paths[split] = path
    return paths


def _part(folder: Path, name: str) -> Path:
    path = _find(folder, name)
    if path is None:
        raise InputError(f"{folder}: no {name}.jsonl in it; a folder as BEIR has it holds corpus, queries and qrels")
    return path


def _find(folder: Path, name: str) -> Path | None:
    if (folder / name).is_dir():
        return folder / name
    return next((path for path in sorted(folder.glob(f"{name}.*")) if table_suffix(path) in SUFFIXES), None)


def _texts(path: Path) -> Iterator[tuple[str, str]]:
    """The id and the text of each record: its title where it has one, since questions are ranked by their titles."""
    for record in read_table(path):
        cells = record.cells
        if not isinstance(cells, dict):
            raise InputError(f"{path}, line {record.line}: a list; it should be an object with _id and text")
        try:
            yield get(cells, "_id" if "_id" in cells else "id"), get(cells, "title").strip() or get(cells, "text")
        except CellError as error:
            raise InputError(f"{path}, line {record.line}: {error}") from error
