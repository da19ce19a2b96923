"""Reads the questions to index or compare from the files that people have: text, TSV, CSV, JSON Lines, Parquet."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from askagain.convert.columns import IDS, TEXTS, column_named, wanted_column
from askagain.convert.tables import CellError, Record, as_text, read_table, table_suffix
from askagain.corpus.files import CorpusFiles
from askagain.corpus.tsv import read_cells
from askagain.errors import InputError
from askagain.files.opened import opened_with_progress, refuse_unreadable
from askagain.text.fields import Fields, readable, title_of

BODIES = ("body", "description", "details")
NO_ID = "none"  # in place of a column
WHITE_SPACE = re.compile(r"\s+")

Item = TypeVar("Item")


class Question(NamedTuple):
    """`id`: the user's own, or the number of the line. `text`: what is shown. `encoded`: what the encoder reads."""

    id: str
    text: str
    encoded: str


@dataclass(frozen=True)
class QuestionColumns:
    """Names of columns; None or none: found by their names.

    `texts`: the first one is shown, and all are read, one after the other. `id`: the question's own; without one the
    number of the line, from 1.
    """

    texts: tuple[str, ...] = ()
    id: str | None = None


def read_questions(path: Path, columns: QuestionColumns, fields: Fields | None = None) -> Iterator[Question]:
    """The questions of a file, a text a line or a table; lines without a text are left out.

    `fields`: those of the encoder; where it has some, columns of their names are read as such. Raises InputError for a
    missing, empty or damaged file, a column that is not there, and an id that is missing or stands twice.
    """
    is_empty = True
    seen: dict[str, int] = {}
    for line, question in _read(path, columns, fields):
        if question.id in seen:
            raise InputError(
                f"{path}, line {line}: the id {question.id} stands in line {seen[question.id]} as well; give each its "
                "own, or name another column with --id"
            )
        seen[question.id] = line
        is_empty = False
        yield question
    if is_empty:
        raise InputError(f"{path}: there is no question in it")


def read_corpus(folder: Path) -> Iterator[Question]:
    """The distinct texts of a corpus folder's train.tsv and corpus.txt; an id is the place of a text, from 1.

    Raises InputError for a folder without these files.
    """
    files = CorpusFiles.locate(str(folder))
    if files.train is None and files.corpus is None:
        raise InputError(f"{folder}: neither train.tsv nor corpus.txt in it; name a file of questions")
    seen: set[str] = set()
    for path, separator in ((files.train, "\t"), (files.corpus, None)):
        for row in () if path is None else read_cells(path, separator=separator):
            for text in row:
                if text not in seen:
                    seen.add(text)
                    yield Question(str(len(seen)), readable(title_of(text) or text), text)


def read_texts(path: Path, column: str | None = None) -> list[str]:
    """The texts of a file, which need no ids; see `read_questions`."""
    columns = QuestionColumns((column,) if column else (), NO_ID if table_suffix(path) not in (".txt", "") else None)
    texts = [question.text for _, question in _read(path, columns, None)]
    if not texts:
        raise InputError(f"{path}: there is no question in it")
    return texts


def read_lines(path: Path) -> list[str]:
    """The lines of a file, whatever its name, without empty ones."""
    return [question.text for _, question in _lines(path)]


def blocks(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Lists of `size` items, the last one shorter."""
    items = iter(items)
    while block := list(islice(items, size)):
        yield block


def _read(path: Path, columns: QuestionColumns, fields: Fields | None) -> Iterator[tuple[int, Question]]:
    if path.is_file() and table_suffix(path) in (".txt", "") and not columns.texts and columns.id is None:
        yield from _lines(path)
        return
    found: QuestionColumns | None = None
    for record in read_table(path):
        cells: Mapping[str, Any]
        if isinstance(record.cells, dict):
            cells = record.cells
        else:
            cells = {str(number): cell for number, cell in enumerate(record.cells, start=1)}
        found = found or _found(path, list(cells), columns, fields, isinstance(record.cells, dict))
        question = _question(path, record, cells, found, fields, columns.id == NO_ID)
        if question is not None:
            yield record.line, question


def _lines(path: Path) -> Iterator[tuple[int, Question]]:
    """A text a line."""
    refuse_unreadable(path)
    with opened_with_progress(path) as file:
        for line, row in enumerate(file, start=1):
            try:
                text = row.decode("utf-8-sig" if line == 1 else "utf-8").strip()
            except UnicodeDecodeError as error:
                raise InputError(f"{path}, line {line}: not UTF-8; convert the file") from error
            if text:
                yield line, Question(str(line), text, text)


def _found(
    path: Path, names: list[str], columns: QuestionColumns, fields: Fields | None, is_named: bool
) -> QuestionColumns:
    """The columns of a table whose first row has these names."""
    own_id = wanted_column(path, names, columns.id, IDS if is_named else (), "id", needed=columns.id is not None)
    if columns.texts:
        for name in columns.texts:
            wanted_column(path, names, name, (), "text")
        return QuestionColumns(columns.texts, own_id)
    if not names:
        raise InputError(f"{path}: its first record is empty; take it out")
    if not is_named:
        return QuestionColumns((next(name for name in names if name != own_id),), own_id)
    if fields is not None and fields.names[0] in names:
        return QuestionColumns(tuple(name for name in fields.names if name in names), own_id)
    text = column_named([name for name in names if name != own_id], TEXTS)
    if text is None:
        raise InputError(f"{path}: which of its columns ({', '.join(names)}) is the text? name it with --text")
    return QuestionColumns((text,), own_id)


def _question(
    path: Path,
    record: Record,
    cells: Mapping[str, Any],
    columns: QuestionColumns,
    fields: Fields | None,
    ignores_ids: bool,
) -> Question | None:
    if columns.texts[0] not in cells:
        raise InputError(f"{path}, line {record.line}: no column {columns.texts[0]}; it has {', '.join(cells)}")
    is_without = columns.id is None and isinstance(record.cells, dict)
    if is_without and not ignores_ids and column_named(list(cells), IDS) is not None:
        raise InputError(
            f"{path}, line {record.line}: has an id, which the first record lacks; give every question one"
        )
    try:
        shown = WHITE_SPACE.sub(" ", as_text(cells.get(columns.texts[0]))).strip()
        if fields is not None and set(columns.texts) <= set(fields.names):
            encoded = fields.compose({name: cells.get(name) for name in columns.texts})
        elif len(columns.texts) > 1:
            parts = (WHITE_SPACE.sub(" ", as_text(cells.get(name))).strip() for name in columns.texts)
            encoded = " ".join(part for part in parts if part)
        else:
            encoded = shown
        own_id = str(record.line) if columns.id is None else as_text(cells.get(columns.id)).strip()
        f"{own_id}{shown}{encoded}".encode()
    except CellError as error:
        raise InputError(f"{path}, line {record.line}: {error}; name another column with --text or --id") from error
    except UnicodeEncodeError as error:
        raise InputError(
            f"{path}, line {record.line}: has half of a character (a lone surrogate); repair it"
        ) from error
    if not shown and not encoded:
        return None
    if not own_id:
        raise InputError(f"{path}, line {record.line}: no {columns.id}; give every question an id")
    return Question(own_id, shown or encoded, encoded)


def composed(texts: Sequence[str]) -> list[Question]:
    """Questions of texts alone, whose ids are their places from 1."""
    return [Question(str(number), text, text) for number, text in enumerate(texts, start=1)]
