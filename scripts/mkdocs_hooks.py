"""What mkdocs does with a page beside its extensions, see `hooks` in mkdocs.yml."""

import re
from typing import Any

CELL = re.compile(r"<td.*?</td>", re.DOTALL)


def on_page_content(html: str, **page: Any) -> str:
    """Shows `a\\|b` in a cell of a table as a|b, as other Markdown readers do; Python-Markdown keeps the backslash."""
    return CELL.sub(lambda cell: cell[0].replace("\\|", "|"), html)
