"""Reports the metrics of a run: tables on the terminal, and metrics.json."""

from collections.abc import Mapping
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from askagain.apps.sweep import METRICS
from askagain.files.json_files import write_json

ENDS = ("_low", "_high")  # suffixes of the names of an interval's ends
PREFIXES = {"validation": "val", "test": "test"}  # of metrics on a ranking set


def print_metrics(title: str, columns: Mapping[str, Mapping[str, float]], ties: str) -> None:
    """Prints a table of metrics with a column for each heading."""
    print(title)
    table = Table()
    table.add_column("")
    for heading in columns:
        table.add_column(Text(heading), justify="right")
    for name in next(iter(columns.values())):
        if name != "seconds" and not name.endswith(ENDS):
            table.add_row(name, *(with_ends(metrics, name) for metrics in columns.values()))
    wide_console().print(table)
    print(f"ties, counted {ties}: the share of rows in which a candidate scores exactly as the duplicate does")


def with_ends(metrics: Mapping[str, float], name: str) -> str:
    """A metric, and its interval where it has one."""
    low, high = (metrics.get(f"{name}{end}") for end in ENDS)
    return f"{metrics[name]:.4f}" + ("" if low is None else f" ({low:.4f} to {high:.4f})")


def print_counts(title: str, counts: Mapping[str, float]) -> None:
    """Prints names and numbers, one a line."""
    console = wide_console()
    console.print(title, style="bold", markup=False, highlight=False)
    width = max(map(len, counts))
    for name, count in counts.items():
        number = f"{count:,.3f}" if isinstance(count, float) else f"{count:,}"
        console.print(f"  {name.replace('_', ' '):<{width}}  {number:>12}", markup=False, highlight=False)


def write_metrics(folder: Path, metrics: Mapping[str, float]) -> None:
    """Writes metrics.json into `folder` and prints its path, as the last line on stdout."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / METRICS, dict(metrics), indent=2)
    print(f"metrics: {folder / METRICS}", flush=True)


def prefixed(prefix: str, metrics: Mapping[str, float]) -> dict[str, float]:
    """The metrics, named `prefix/name`."""
    return {f"{prefix}/{name}": value for name, value in metrics.items()}


def wide_console(width: int = 120) -> Console:
    """Stdout, as wide as this where it is no terminal."""
    console = Console()
    return console if console.is_terminal else Console(width=width)
