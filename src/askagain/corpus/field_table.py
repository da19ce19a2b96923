"""The further fields of questions, looked up by their titles."""

import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import polars as pl

from askagain.corpus.cache import Cache
from askagain.errors import InputError
from askagain.files.opened import refuse_unreadable
from askagain.text.cleaning import cleaned
from askagain.text.fields import Fields

log = logging.getLogger(__name__)

ROWS_PER_BLOCK = 1 << 16


class FieldTable:
    """Questions with their fields, read from JSON Lines or Parquet.

    `digest`: of the file. `key`: what composed texts depend on. Raises InputError for a file that cannot be read or
    lacks a field. Of questions with one title the first counts.
    """

    def __init__(self, path: Path, fields: Fields, cache: Cache) -> None:
        refuse_unreadable(path)
        self.fields = fields
        self.digest = cache.content_digest(path)
        self.key: dict[str, object] = {"questions": self.digest, "fields": fields.as_dict()}
        self._composed: dict[str, str] = {}
        repeated = 0
        for record in _records(path, fields.names):
            title = _title(record.get(fields.names[0]))
            if title in self._composed:
                repeated += 1
            elif title:
                self._composed[title] = fields.compose({**record, fields.names[0]: title})
        if repeated:
            log.warning("%s: %d questions have the title of another, and are left out", path, repeated)

    def compose(self, titles: pl.Series) -> pl.Series:
        """Each title with the further fields of its question; a title that is not there stays as it is."""
        composed = self._composed
        return pl.Series([composed.get(title, title) for title in titles.to_list()], dtype=pl.String)


def _title(value: Any) -> str:
    return " ".join(cleaned(str(value)).split()) if value is not None else ""


def _records(path: Path, names: Any) -> Iterator[Mapping[str, Any]]:
    is_parquet = path.suffix == ".parquet"
    try:
        table = pl.read_parquet(path) if is_parquet else pl.read_ndjson(path)
    except (pl.exceptions.PolarsError, OSError) as error:
        said = str(error).splitlines()[0]
        kind = "Parquet" if is_parquet else "JSON Lines"
        raise InputError(f"{path}: cannot be read as {kind} ({said})") from error
    lacking = [name for name in names if name not in table.columns]
    if lacking:
        raise InputError(f"{path}: no field {lacking[0]}; it has {', '.join(table.columns)}")
    for block in table.select(names).iter_slices(ROWS_PER_BLOCK):
        yield from block.iter_rows(named=True)
