"""Reads tables of any common format as records: TSV, CSV, JSON Lines, JSON, Parquet, Arrow, plain or gzip."""

import csv
import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from askagain.corpus.tsv import header
from askagain.errors import InputError
from askagain.files.opened import BYTE_ORDER_MARK, head, opened_with_progress, refuse_unreadable
from askagain.files.progress import with_progress

LONGEST_CELL = 1 << 26
SAMPLED_BYTES = 1 << 22  # to tell whether a TSV file has quoted cells
QUOTED_SHARE = 0.9
ROWS_PER_BLOCK = 1 << 16
DELIMITERS = {".tsv": "\t", ".tab": "\t", ".txt": "\t", ".csv": ","}
JSON_LINES = (".jsonl", ".ndjson", ".json")
COLUMNAR = (".parquet", ".arrow", ".ipc", ".feather")
SUFFIXES = (*DELIMITERS, *JSON_LINES, *COLUMNAR)


class CellError(InputError):
    """What is wrong with a cell, in words; who reads the table says where it is."""


class Record(NamedTuple):
    """A row of a table: `cells` by column name, or in order where columns have no names; `line` counts from 1."""

    line: int
    cells: dict[str, Any] | list[Any]


def read_table(path: Path, quoted: bool | None = None, named: bool | None = None) -> Iterator[Record]:
    """The rows of a table, one at a time.

    A TSV file has no column names unless its first line looks like names; a CSV file has them. A JSON file is a list of
    records, or has one a line; a record is an object or a list.

    Args:
        path: the file; its name tells the format, with or without `.gz`. A folder is read as all Parquet and Arrow
            files in it, which is how `datasets` keeps a data set on disk.
        quoted: whether cells of a TSV file may stand in quotation marks (None: look).
        named: whether its first line names the columns (None: look).

    Raises:
        InputError: for a file that is missing, damaged or of no known format, naming the line.
    """
    if path.is_dir():
        yield from _folder(path)
        return
    refuse_unreadable(path)
    suffix = table_suffix(path)
    if suffix in DELIMITERS:
        yield from _delimited(path, DELIMITERS[suffix], quoted, named)
    elif suffix in JSON_LINES:
        yield from _json(path)
    elif suffix in COLUMNAR:
        yield from _columnar([path])
    else:
        raise InputError(
            f"{path}: no known kind of table; its name should end in {', '.join(SUFFIXES)}, or that and .gz"
        )


def table_suffix(path: Path) -> str:
    """The ending of a file's name that tells its format, without `.gz`."""
    return Path(path.name.removesuffix(".gz")).suffix.lower()


def _delimited(path: Path, delimiter: str, quoted: bool | None, named: bool | None) -> Iterator[Record]:
    first = head(path, SAMPLED_BYTES)
    has_names = (delimiter == "," or header(path) is not None) if named is None else named
    if quoted is None:
        quoted = delimiter == "," or (has_names and _is_quoted(first))
    style: dict[str, Any] = {"delimiter": delimiter, "quoting": csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE}
    with opened_with_progress(path) as file:
        # Only line ends end a line of an unquoted table; within quotation marks they belong to the cell.
        text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="" if quoted else None)
        rows = csv.reader(text, strict=quoted, **style)
        names: list[str] | None = None
        line = 1
        try:
            for cells in _with_long_cells(rows):
                if names is None and has_names:
                    names = _names(path, cells)
                elif any(cell.strip() for cell in cells):
                    yield Record(line, cells if names is None else _by_name(path, line, names, cells))
                line = rows.line_num + 1
        except csv.Error as error:
            raise InputError(f"{path}, line {line}: {error}; repair the line, or try --quotes no") from error
        except UnicodeDecodeError as error:
            raise InputError(f"{path}, line {_not_utf8(path)}: not UTF-8; convert the file") from error


def _with_long_cells(rows: Iterator[list[str]]) -> Iterator[list[str]]:
    """The rows of a reader, whose cells may be longer than csv allows; its limit is one of the whole process."""
    while True:
        usual = csv.field_size_limit(LONGEST_CELL)
        try:
            cells = next(rows)
        except StopIteration:
            return
        finally:
            csv.field_size_limit(usual)
        yield cells


def _not_utf8(path: Path) -> int:
    """The first line that is not UTF-8; a file is decoded in pieces, which do not tell."""
    with opened_with_progress(path) as file:
        for line, row in enumerate(file, start=1):
            try:
                row.decode("utf-8")
            except UnicodeDecodeError:
                return line
    return 1


def _is_quoted(content: bytes) -> bool:
    """Whether nearly all cells that begin with a quotation mark end with one."""
    cells = [cell.rstrip("\r") for line in content.decode("utf-8", "replace").split("\n") for cell in line.split("\t")]
    opened = [cell for cell in cells if cell.startswith('"')]
    closed = sum(len(cell) > 1 and cell.endswith('"') for cell in opened)
    return bool(opened) and closed >= QUOTED_SHARE * len(opened)


def _names(path: Path, cells: list[str]) -> list[str]:
    names = [cell.strip() for cell in cells]
    if len(set(names)) < len(names):
        raise InputError(f"{path}, line 1: two columns have one name ({', '.join(names)}); give each its own")
    return names


def _by_name(path: Path, line: int, names: list[str], cells: list[str]) -> dict[str, Any]:
    if len(cells) != len(names):
        raise InputError(
            f"{path}, line {line}: {len(cells)} cells, and {len(names)} columns ({', '.join(names)}); repair the line, "
            "or see --quotes"
        )
    return dict(zip(names, cells, strict=True))


def _json(path: Path) -> Iterator[Record]:
    with opened_with_progress(path) as file:
        begun = file.read(1)
        if begun == BYTE_ORDER_MARK[:1]:
            file.read(len(BYTE_ORDER_MARK) - 1)
            begun = file.read(1)
        while begun.isspace():
            begun = file.read(1)
        if begun == b"[" and table_suffix(path) == ".json":
            yield from _json_list(path, begun + file.read())
            return
        rest = begun + file.readline(LONGEST_CELL)
        line = 1
        while rest:
            if rest.strip():
                yield Record(line, _parsed(path, line, rest))
            rest = file.readline(LONGEST_CELL)
            line += 1


def _json_list(path: Path, content: bytes) -> Iterator[Record]:
    try:
        records = json.loads(content)
    except (ValueError, RecursionError):
        # A list a line looks alike at its beginning.
        for line, row in enumerate(content.split(b"\n"), start=1):
            if row.strip():
                yield Record(line, _parsed(path, line, row))
        return
    for number, record in enumerate(records, start=1):
        yield Record(number, _checked(path, number, record))


def _parsed(path: Path, line: int, row: bytes) -> dict[str, Any] | list[Any]:
    try:
        record = json.loads(row)
    except (ValueError, RecursionError) as error:
        said = str(error).partition(":")[0]
        raise InputError(f"{path}, line {line}: no JSON ({said}); each line should be an object or a list") from error
    return _checked(path, line, record)


def _checked(path: Path, line: int, record: Any) -> dict[str, Any] | list[Any]:
    if not isinstance(record, dict | list):
        raise InputError(f"{path}, line {line}: neither an object nor a list but {str(record)[:40]!r}")
    return record


def _folder(folder: Path) -> Iterator[Record]:
    """All tables of a data set on disk, without what `datasets` has cached beside them."""
    paths = columnar_files(folder)
    if not paths:
        raise InputError(f"{folder}: no .parquet or .arrow files in it; name the file")
    yield from _columnar(paths)


def columnar_files(folder: Path) -> list[Path]:
    """The tables of a data set on disk, in order."""
    return [
        path
        for path in sorted(folder.rglob("*"))
        if path.suffix.lower() in COLUMNAR and not path.name.startswith(("cache-", "tmp"))
    ]


def _columnar(paths: list[Path]) -> Iterator[Record]:
    line = 0
    for path in paths:
        table = _frame(path)
        for block in with_progress(
            table.iter_slices(ROWS_PER_BLOCK), -(-len(table) // ROWS_PER_BLOCK), f"reading {path.name}"
        ):
            for record in block.iter_rows(named=True):
                line += 1
                yield Record(line, record)


def _frame(path: Path) -> pl.DataFrame:
    if path.suffix.lower() == ".gz":
        raise InputError(f"{path}: such files are compressed within; unpack it")
    try:
        if path.suffix.lower() == ".parquet":
            return pl.read_parquet(path)
        try:
            return pl.read_ipc_stream(path)  # as `datasets` writes it
        except pl.exceptions.PolarsError:
            return pl.read_ipc(path)
    except (pl.exceptions.PolarsError, OSError) as error:
        said = str(error).splitlines()[0]
        raise InputError(f"{path}: cannot be read as {path.suffix[1:]} ({said}); write it again") from error


def as_text(cell: Any) -> str:
    """A cell as text; an empty one for what is missing. Raises CellError for a list, an object and bytes."""
    if isinstance(cell, list | tuple | dict | bytes):
        raise CellError(f"{str(cell)[:40]!r} is no text")
    return "" if cell is None else cell if isinstance(cell, str) else str(cell)


def get(record: Mapping[str, Any], column: str) -> str:
    """The text of a column."""
    return as_text(record.get(column))
