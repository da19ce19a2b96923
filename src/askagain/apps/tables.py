"""Writes a table of results to the terminal, and as Markdown and JSON with a description of the measurement."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from askagain.apps.report import wide_console
from askagain.files.json_files import write_json
from askagain.files.writing import write_text

WIDTH = 200  # of a table where stdout is no terminal


def write_table(
    path: Path,
    headings: Sequence[str],
    rows: Sequence[Sequence[str]],
    about: Mapping[str, str],
    details: Mapping[str, Any],
) -> None:
    """Prints a table and writes it as Markdown and JSON.

    Args:
        path: of the files, without .md and .json.
        headings: of the columns.
        rows: the cells of each row.
        about: what was measured, when and on what, by name; printed and written below the table.
        details: what the JSON file holds instead of cells.
    """
    table = Table(*headings)
    for cells in rows:
        table.add_row(*map(Text, cells))
    wide_console(WIDTH).print(table)
    for name, value in about.items():
        print(f"{name}: {value}")
    as_json, as_markdown = path.with_name(f"{path.name}.json"), path.with_name(f"{path.name}.md")
    write_json(as_json, {"about": about, **details}, indent=2)
    write_text(as_markdown, [markdown(headings, rows, about)])
    print(f"written: {as_json}, {as_markdown}")


def markdown(headings: Sequence[str], rows: Sequence[Sequence[str]], about: Mapping[str, str]) -> str:
    """A Markdown table with `about` as a list below it."""
    lines = ["| " + " | ".join(cells) + " |" for cells in (headings, ["---"] * len(headings), *rows)]
    lines += ["", *(f"- {name}: {value}" for name, value in about.items())]
    return "\n".join(lines) + "\n"
