"""What a command shows and leaves behind: tables on the terminal, and metrics.json."""

from collections.abc import Mapping
from pathlib import Path

from pytorch_lightning.utilities import rank_zero_only
from rich.console import Console
from rich.table import Table

from askagain.atomic import write_json

METRICS = "metrics.json"


@rank_zero_only
def print_figures(title: str, rows: Mapping[str, Mapping[str, float]], ties: str) -> None:
    """Prints a table with a row of figures for each label."""
    table = Table(title=title, title_justify="left", title_style="bold", caption=_caption(ties), caption_justify="left")
    columns = [name for name in next(iter(rows.values())) if name != "seconds"]
    table.add_column("")
    for name in columns:
        table.add_column(name, justify="right")
    for label, figures in rows.items():
        table.add_row(label, *(f"{figures[name]:.4f}" for name in columns))
    _console().print(table)


@rank_zero_only
def print_counts(title: str, counts: Mapping[str, float]) -> None:
    """Prints names and numbers, one a line."""
    console = _console()
    console.print(title, style="bold", markup=False, highlight=False)
    width = max(map(len, counts))
    for name, count in counts.items():
        number = f"{count:,.3f}" if isinstance(count, float) else f"{count:,}"
        console.print(f"  {name.replace('_', ' '):<{width}}  {number:>12}", markup=False, highlight=False)


def write_metrics(folder: Path, metrics: Mapping[str, float]) -> None:
    """Writes `metrics.json` into `folder` and says so, as the last line on standard output."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / METRICS, dict(metrics), indent=2)
    print(f"metrics: {folder / METRICS}", flush=True)


def prefixed(prefix: str, figures: Mapping[str, float]) -> dict[str, float]:
    """The same figures, named `prefix/name`."""
    return {f"{prefix}/{name}": value for name, value in figures.items()}


def _caption(ties: str) -> str:
    return f"ties counted {ties}; the last column is the share of rows with a tie"


def _console() -> Console:
    """Standard output; wide enough for a whole table where it is no terminal."""
    console = Console()
    return console if console.is_terminal else Console(width=140)
