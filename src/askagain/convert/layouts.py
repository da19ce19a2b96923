"""Reads groups of duplicates from tables of many layouts: pairs, triplets, sets, a text a row."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from askagain.convert.columns import (
    DATES,
    DUPLICATE_OF,
    GROUPS,
    IDS,
    LABELS,
    NEGATIVE,
    SETS,
    TEXTS,
    Columns,
    column_named,
    date_of,
    is_yes,
    pair_columns,
    refuse_names,
    wanted_column,
)
from askagain.convert.questions import QuestionsBuilder
from askagain.convert.tables import CellError, Record, as_text, read_table
from askagain.errors import InputError

OTHER_COLUMNS = "name the columns of texts with --columns"


def read_groups(path: Path, columns: Columns, builder: QuestionsBuilder, quoted: bool | None = None) -> str:
    """Reads a table of groups or pairs into `builder`.

    Returns what its columns were taken for, in words. Raises InputError where they cannot be told, or where a row does
    not fit.
    """
    records = _Counted(read_table(path, quoted))
    try:
        return _read_groups(path, records, columns, builder)
    except CellError as error:
        raise InputError(f"{path}, line {records.line}: {error}; {OTHER_COLUMNS}") from error


def _read_groups(path: Path, records: Iterator[Record], columns: Columns, builder: QuestionsBuilder) -> str:
    first = next(records, None)
    if first is None:
        raise InputError(f"{path}: no rows; it should have groups or pairs of questions")
    rows = _chain(first, records)
    if isinstance(first.cells, list):
        if not columns.texts:
            refuse_names(path, columns)
            return _read_lists(path, rows, builder)
        rows = _numbered(path, rows)
        first = next(rows)
        rows = _chain(first, rows)
    return _read_columns(path, rows, list(first.cells), columns, builder)


def read_texts(path: Path, columns: Columns, builder: QuestionsBuilder, quoted: bool | None = None) -> None:
    """Reads unlabelled texts: a text a line, or one column of a table."""
    if path.is_file() and path.name.removesuffix(".gz").endswith(".txt"):
        for record in read_table(path, quoted=False):
            builder.add(" ".join(map(as_text, record.cells)), unlabelled=True)
        return
    records = _Counted(read_table(path, quoted))
    try:
        _read_unlabelled(path, records, columns, builder)
    except CellError as error:
        raise InputError(f"{path}, line {records.line}: {error}; {OTHER_COLUMNS}") from error


def _read_unlabelled(path: Path, records: Iterator[Record], columns: Columns, builder: QuestionsBuilder) -> None:
    when: str | None = None
    for record in records:
        if isinstance(record.cells, list):
            for cell in record.cells:
                builder.add(as_text(cell), unlabelled=True)
            continue
        text = columns.texts[0] if columns.texts else column_named(list(record.cells), TEXTS)
        if text not in record.cells:
            raise InputError(f"{path}, line {record.line}: which column is the text? it has {', '.join(record.cells)}")
        when = when or columns.date or column_named(list(record.cells), DATES)
        builder.add(as_text(record.cells[text]), date_of(path, record, when), unlabelled=True)


class _Counted(Iterator[Record]):
    """Records, and the `line` of the last one that was taken."""

    def __init__(self, records: Iterator[Record]) -> None:
        self._records = records
        self.line = 1

    def __next__(self) -> Record:
        record = next(self._records)
        self.line = record.line
        return record


def _chain(first: Record, rest: Iterator[Record]) -> Iterator[Record]:
    yield first
    yield from rest


def _numbered(path: Path, rows: Iterator[Record]) -> Iterator[Record]:
    """Rows without names, their columns named 1, 2 and so on."""
    for record in rows:
        yield Record(record.line, {str(number): cell for number, cell in enumerate(_listed(path, record), start=1)})


def _read_lists(path: Path, rows: Iterator[Record], builder: QuestionsBuilder) -> str:
    """A group a line, as `train.tsv` has it, and as lists of JSON."""
    for record in rows:
        cells = [text for cell in _listed(path, record) for text in texts_of(cell)]
        _count_group(path, record, builder.add_group(cells), builder)
    return "a group a line"


def _read_columns(
    path: Path, rows: Iterator[Record], names: list[str], columns: Columns, builder: QuestionsBuilder
) -> str:
    when = wanted_column(path, names, columns.date, DATES, "date", needed=columns.date is not None)
    text_columns = list(columns.texts)
    for name in text_columns:
        wanted_column(path, names, name, (), "text")
    if not text_columns:
        text_columns = pair_columns(names)
    group = wanted_column(path, names, columns.group, GROUPS, "group", needed=columns.group is not None)
    original = column_named(names, DUPLICATE_OF)
    if len(text_columns) < 2:
        single = text_columns[0] if text_columns else column_named(names, TEXTS)
        if group is not None and single is not None:
            return _read_long(path, rows, single, group, when, builder)
        if original is not None and single is not None:
            return _read_links(path, rows, names, single, original, when, builder)
    if not text_columns:
        together = column_named(names, SETS)
        if together is None:
            raise InputError(
                f"{path}: which of its columns ({', '.join(names)}) duplicate each other? name two with --columns A,B, "
                "or one and the column of its group with --columns TEXT --group GROUP"
            )
        text_columns = [together]
    if columns.group is not None and group is not None:
        raise InputError(
            f"{path}: --group {group} is for one column of texts, and there are {' and '.join(text_columns)}"
        )
    if columns.label is not None and columns.label in text_columns:
        raise InputError(
            f"{path}: --label {columns.label} is a column of texts; name another, or the texts with --columns"
        )
    label = wanted_column(path, names, columns.label, LABELS, "label", needed=columns.label is not None)
    negatives = [name for name in names if NEGATIVE.fullmatch(name) and name not in text_columns]
    return _read_pairs(path, rows, text_columns, label if label not in text_columns else None, negatives, when, builder)


def _read_pairs(
    path: Path,
    rows: Iterator[Record],
    text_columns: list[str],
    label: str | None,
    negatives: list[str],
    when: str | None,
    builder: QuestionsBuilder,
) -> str:
    for record in rows:
        cells = _named(path, record)
        texts = [text for name in text_columns for text in texts_of(cells.get(name))]
        moment = date_of(path, record, when)
        if label is None or is_yes(path, record, label):
            _count_group(path, record, builder.add_group(texts, moment), builder)
        else:
            builder.count("pairs labelled as no duplicates")
            for text in texts:
                builder.add(text, moment)
        for name in negatives:
            for text in texts_of(cells.get(name)):
                builder.add(text)
    said = f"duplicates in {' and '.join(text_columns)}"
    if label is not None:
        said += f" where {label} says so"
    return said + (f"; {', '.join(negatives)} as other texts" if negatives else "")


def _read_long(
    path: Path, rows: Iterator[Record], text: str, group: str, when: str | None, builder: QuestionsBuilder
) -> str:
    """A text a row; rows of one group have the same value in its column, and rows without value stand alone."""
    groups: dict[str, list[str]] = {}
    for record in rows:
        cells = _named(path, record)
        value = as_text(cells.get(group)).strip()
        builder.add(as_text(cells.get(text)), date_of(path, record, when), unlabelled=not value)
        if value:
            groups.setdefault(value, []).append(as_text(cells.get(text)))
    for texts in groups.values():
        builder.add_group(texts)
    return f"{text} grouped by {group}"


def _read_links(
    path: Path,
    rows: Iterator[Record],
    names: list[str],
    text: str,
    original: str,
    when: str | None,
    builder: QuestionsBuilder,
) -> str:
    """A text a row, with its id and the id of the one that it duplicates."""
    own = wanted_column(path, names, None, IDS, "id")
    texts: dict[str, str] = {}
    links: list[tuple[int, str, str]] = []
    for record in rows:
        cells = _named(path, record)
        key, other = as_text(cells.get(str(own))).strip(), as_text(cells.get(original)).strip()
        texts[key] = as_text(cells.get(text))
        builder.add(texts[key], date_of(path, record, when), unlabelled=not other)
        if other:
            links.append((record.line, key, other))
    for _, key, other in links:
        if other in texts:
            builder.add_group([texts[other], texts[key]])
        else:
            builder.count("links to a text that is not there")
    return f"{text} with the {own} that it duplicates in {original}"


def _named(path: Path, record: Record) -> dict[str, Any]:
    if not isinstance(record.cells, dict):
        raise InputError(f"{path}, line {record.line}: a list, where the lines before it have named columns")
    return record.cells


def _listed(path: Path, record: Record) -> list[Any]:
    if not isinstance(record.cells, list):
        raise InputError(f"{path}, line {record.line}: an object, where the lines before it are lists")
    return record.cells


def texts_of(cell: Any) -> list[str]:
    """The texts of a cell, which may hold a list."""
    if isinstance(cell, list | tuple):
        return [text for item in cell for text in texts_of(item)]
    return [as_text(cell)]


def _count_group(path: Path, record: Record, is_group: bool, builder: QuestionsBuilder) -> None:
    if not is_group:
        builder.count("rows without two texts")
        builder.counts.setdefault("first of them, line", record.line)
