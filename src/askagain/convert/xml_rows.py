"""Reads the XML files of a Stack Exchange dump: one `<row .../>` after the other, in bounded memory."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lxml import etree

from askagain.errors import InputError
from askagain.files.opened import opened_with_progress, refuse_unreadable

CHUNK_BYTES = 1 << 20
PROLOG_BYTES = 1 << 16  # before the first element
ELEMENT = re.compile(rb"<[A-Za-z]")

TakeRow = Callable[[Mapping[str, Any]], None]


class RowError(ValueError):
    """What is wrong with a row, in words."""


class RowParser:
    """A parser that is fed pieces of a file, and calls `take_row` with the attributes of each `<row>`.

    No entities beyond those of XML itself are known: a file that declares some is refused. `name`: of the file, for
    messages. Raises InputError for what is not XML, and where `take_row` raises RowError.
    """

    def __init__(self, name: str, take_row: TakeRow) -> None:
        self._name = name
        self._take_row = take_row
        self._parser = etree.XMLPullParser(
            events=("end",), tag="row", resolve_entities=False, no_network=True, load_dtd=False
        )
        self._prolog: bytes | None = b""
        self.rows = 0

    def feed(self, piece: bytes) -> None:
        """Takes the next bytes of the file."""
        if self._prolog is not None:
            self._prolog += piece
            begins = ELEMENT.search(self._prolog)
            if begins is None and len(self._prolog) < PROLOG_BYTES:
                return
            if begins is None or b"<!" in self._prolog[: begins.start()]:
                raise InputError(f"{self._name}: no file of a dump: it should begin with an element, which has rows")
            piece, self._prolog = self._prolog, None
        try:
            self._parser.feed(piece)
            self._take_rows()
        except etree.XMLSyntaxError as error:
            raise self._refused(error) from error

    def close(self) -> None:
        """Ends the file; raises InputError where it ends too early."""
        if self._prolog is not None:
            raise InputError(f"{self._name}: no file of a dump: there are no elements in it")
        try:
            self._parser.close()
            self._take_rows()
        except etree.XMLSyntaxError as error:
            raise self._refused(error) from error

    def _take_rows(self) -> None:
        for _, row in self._parser.read_events():
            self.rows += 1
            try:
                self._take_row(row.attrib)
            except RowError as error:
                raise InputError(f"{self._name}, row {self.rows:,}: {error}; download it again") from error
            row.clear()
            parent = row.getparent()
            if parent is not None:
                while row.getprevious() is not None:  # else the tree would hold on to empty rows
                    del parent[0]

    def _refused(self, error: etree.XMLSyntaxError) -> InputError:
        said = str(error.msg).partition(", line")[0]
        return InputError(
            f"{self._name}, line {max(1, error.lineno or 1)}: damaged or incomplete XML ({said}); download it again"
        )


def read_rows_of(path: Path, take_row: TakeRow) -> int:
    """Feeds a file to a `RowParser`, with a progress bar; returns the number of rows."""
    refuse_unreadable(path)
    parser = RowParser(str(path), take_row)
    with opened_with_progress(path) as file:
        while piece := file.read(CHUNK_BYTES):
            parser.feed(piece)
    parser.close()
    return parser.rows
