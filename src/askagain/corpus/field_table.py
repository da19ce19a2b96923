"""The further fields of questions, looked up by their titles."""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from askagain.corpus.cache import Cache
from askagain.corpus.cells import Cells
from askagain.corpus.tsv import Rows
from askagain.errors import InputError
from askagain.files.opened import refuse_unreadable
from askagain.text.cleaning import cleaned
from askagain.text.fields import Fields

log = logging.getLogger(__name__)

ROWS_PER_BLOCK = 1 << 16


class FieldTable:
    """Questions with their fields, read from JSON Lines or Parquet.

    The file is read when the first title is looked up, which a cached token store has no need of. Of questions with one
    title the first counts.

    `key`: what composed texts depend on. Looking up raises InputError for a file that cannot be read or lacks a field.
    """

    def __init__(self, path: Path, fields: Fields, cache: Cache) -> None:
        refuse_unreadable(path)
        self.path = path
        self.fields = fields
        read = {"names": list(fields.names), "words": dict(fields.words)}
        self.key: dict[str, object] = {"questions": cache.content_digest(path), **read}

    def composed(self, pieces: Iterable[Rows], source: Path) -> Iterator[Rows]:
        """Rows of titles with the further fields of their questions; titles that are not there stay as they are.

        Those are counted in a warning; `source`: the file of the rows.
        """
        cells = missing = 0
        for rows in pieces:
            titles = rows.cells.to_list()
            texts = [self._composed.get(title) for title in titles]
            cells += len(texts)
            missing += texts.count(None)
            filled = [text or title for text, title in zip(texts, titles, strict=True)]
            yield rows._replace(cells=Cells.of(filled))
        if missing:
            counts = f"{missing:,} of {cells:,}"
            log.warning("%s: %s texts are no titles in %s: read without further fields", source, counts, self.path)

    @cached_property
    def _composed(self) -> dict[str, str]:
        """The text of each question by its title."""
        texts: dict[str, str] = {}
        name, repeated = self.fields.names[0], 0
        for record in _records(self.path, self.fields.names):
            title = _title(record.get(name))
            if title in texts:
                repeated += 1
            elif title:
                texts[title] = self.fields.compose({**record, name: title})
        if repeated:
            log.warning("%s: %d questions have the title of another, and are left out", self.path, repeated)
        return texts


def _title(value: Any) -> str:
    return " ".join(cleaned(str(value)).split()) if value is not None else ""


def _records(path: Path, names: Sequence[str]) -> Iterator[Mapping[str, Any]]:
    import polars as pl  # takes long to import, and most corpora have titles alone

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
