"""Tables of metrics and other results on the terminal, and the files that keep them."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from askagain.apps.sweep import METRICS
from askagain.files.json_files import write_json
from askagain.files.markdown import markdown
from askagain.files.writing import atomic_write, write_text

CONFIG_TREE = "config_tree.txt"  # in a run folder
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
    print(f"ties (counted as {ties}): the share of rows in which a candidate scores exactly as the duplicate does")


def print_config(cfg: DictConfig) -> None:
    """Prints the config as a tree where `cfg.print_config` says so (null: on a terminal), and writes it to RUN."""
    tree = Tree("config", guide_style="dim")
    for key, section in cfg.items():
        if isinstance(section, DictConfig) and section:
            tree.add(str(key)).add(Syntax(OmegaConf.to_yaml(section, resolve=True).rstrip(), "yaml", theme="ansi_dark"))
        else:
            tree.add(f"{key}: {OmegaConf.to_container(cfg, resolve=True)[key]}")  # type: ignore[index, call-overload]
    folder = Path(cfg.paths.run_dir)
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_write(folder / CONFIG_TREE) as temporary, temporary.open("w", encoding="utf-8") as file:
        Console(file=file, width=120).print(tree)
    if cfg.print_config or (cfg.print_config is None and sys.stdout.isatty()):
        Console().print(tree)


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
    wide_console(200).print(table)
    for name, value in about.items():
        print(f"{name}: {value}")
    as_json, as_markdown = path.with_name(f"{path.name}.json"), path.with_name(f"{path.name}.md")
    write_json(as_json, {"about": about, **details}, indent=2)
    write_text(as_markdown, [markdown(headings, rows, about)])
    print(f"written: {as_json}, {as_markdown}")


def wide_console(width: int = 120) -> Console:
    """Stdout, as wide as this where it is no terminal."""
    console = Console()
    return console if console.is_terminal else Console(width=width)
