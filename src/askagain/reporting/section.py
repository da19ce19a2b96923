"""The parts of a page: sections of words, charts and tables."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

# A number, with its interval, share or sign; several of them; or nothing.
NUMBER = re.compile(r"([<+-]?\s?[\d.,]+%?(e-?\d+)?( \[.*\]| \(.*%\)| \([\d.]+ to [\d.]+\))?|[\d,]+(, [\d,]+)*|)")


@dataclass(frozen=True)
class Chart:
    """A drawing: its `name` for files and loggers, a Vega-Lite `spec` as wide as its container, and a `caption`."""

    name: str
    spec: dict[str, Any]
    caption: str


@dataclass(frozen=True)
class Table:
    """Rows of cells below headings.

    `is_text`: cells are sentences, which stand below each other on a narrow screen; else they are names and numbers.
    """

    name: str
    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str
    is_text: bool = False

    @property
    def are_numbers(self) -> list[bool]:
        """Whether each column has numbers, and no names or sentences."""
        columns = list(zip(*self.rows, strict=True)) or [()] * len(self.headings)
        numbers = [any(cells) and all(map(NUMBER.fullmatch, cells)) for cells in columns]
        return [False, *numbers[1:]]


@dataclass(frozen=True)
class Section:
    """A part of a page with a heading; `preformatted` is text to copy, such as a command.

    Of a section with charts the first `shown` tables are open, and the others are folded away; `is_closed`: all are.
    """

    title: str
    words: Sequence[str] = ()
    charts: Sequence[Chart] = ()
    tables: Sequence[Table] = ()
    preformatted: Sequence[str] = field(default=())
    is_closed: bool = False
    shown: int = 1

    @property
    def anchor(self) -> str:
        """Its address within the page."""
        return "".join(letter if letter.isalnum() else "-" for letter in self.title.lower())
