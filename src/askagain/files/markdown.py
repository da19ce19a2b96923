"""Tables in Markdown."""

from collections.abc import Mapping, Sequence


def markdown(headings: Sequence[str], rows: Sequence[Sequence[str]], about: Mapping[str, str] | None = None) -> str:
    """A Markdown table with `about` as a list below it."""
    lines = ["| " + " | ".join(cells) + " |" for cells in (headings, ["---"] * len(headings), *rows)]
    if about:
        lines += ["", *(f"- {name}: {value}" for name, value in about.items())]
    return "\n".join(lines) + "\n"
