"""A command's result as a table: on the terminal, and as Markdown and JSON with what it was measured on."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from askagain.files.json_files import write_json
from askagain.files.writing import atomic_write

WIDTH = 200  # of a table that is not printed on a terminal


def leave_table(
    path: Path,
    headings: Sequence[str],
    rows: Sequence[Sequence[str]],
    about: Mapping[str, str],
    details: Mapping[str, Any],
) -> None:
    """Prints the table and `about`, and writes both to `path` with .md and, with `details` for the cells, .json added.

    `about`: what was measured, when and on what, by name.
    """
    table = Table(*headings)
    for cells in rows:
        table.add_row(*map(Text, cells))
    console = Console()
    (console if console.is_terminal else Console(width=WIDTH)).print(table)
    for name, value in about.items():
        print(f"{name}: {value}")
    as_json, as_markdown = path.with_name(f"{path.name}.json"), path.with_name(f"{path.name}.md")
    write_json(as_json, {"about": about, **details}, indent=2)
    with atomic_write(as_markdown) as temporary:
        temporary.write_text(markdown(headings, rows, about), encoding="utf-8")
    print(f"written: {as_json}, {as_markdown}")


def markdown(headings: Sequence[str], rows: Sequence[Sequence[str]], about: Mapping[str, str]) -> str:
    """The table, and below it a list of what it was measured on."""
    lines = ["| " + " | ".join(cells) + " |" for cells in (headings, ["---"] * len(headings), *rows)]
    lines += ["", *(f"- {name}: {value}" for name, value in about.items())]
    return "\n".join(lines) + "\n"
