"""Tables of metrics and other results on the terminal, and the files that keep them."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from omegaconf import DictConfig, OmegaConf
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text
from rich.tree import Tree

from askagain.apps.sweep import METRICS
from askagain.files.checksums import write_checksums
from askagain.files.json_files import json_text, write_json
from askagain.files.markdown import markdown
from askagain.files.writing import atomic_write, write_text
from askagain.ranking.metrics import Metrics

Value = TypeVar("Value")

CONFIG_TREE = "config_tree.txt"  # in a run folder
ENDS = ("_low", "_high")  # suffixes of the names of an interval's ends
USUAL_HITS = ("hits@1", "hits@10", "hits@100")
# How the names of our metrics begin; all others are the user's own.
FAMILIES = ("hits@", "dcg@", "ndcg@", "mrr", "mean_rank", "median_rank", "map", "ties", "seconds")
WIDTH = 100  # of what is printed where stdout is no terminal
PREFIXES = {"validation": "val", "test": "test"}  # of metrics on a ranking set


def print_metrics(title: str, ranker: str, preprocessor: str, metrics: Metrics, chosen: str, ties: str) -> None:
    """Prints the metrics that one reads of a ranker, each with its interval; all of them are in metrics.json.

    `chosen`: the metric that decides; it is always shown.
    """
    print(title)
    table = Table("", ranker)
    table.add_row("preprocessor", preprocessor)
    for name in read_first(metrics, chosen):
        table.add_row(name, with_ends(metrics, name))
    wide_console(WIDTH).print(table)
    if metrics.get("ties"):
        print(explained_ties(ties))


def print_table(title: str, headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Prints a table without lines; all but its first two columns are numbers."""
    print(title)
    columns = (Column(name, justify="right" if place > 1 else "left") for place, name in enumerate(headings))
    table = Table(*columns, box=SIMPLE_HEAD, show_edge=False, pad_edge=False, collapse_padding=True)
    for row in rows:
        table.add_row(*map(Text, row))
    wide_console(WIDTH).print(table)


def explained_ties(ties: str) -> str:
    """A line that says what the column `ties` is."""
    return f"ties: share of rows where a candidate scores just as the duplicate ({ties})"


def read_first(metrics: Metrics, chosen: str = "") -> list[str]:
    """Hits at three values of K, MRR, the mean rank and ties; MAP, metrics of the user's own and the chosen one."""
    hits = [name for name in metrics if name.startswith("hits@") and not name.endswith(ENDS)]
    usual = [name for name in hits if name in USUAL_HITS] or hits[:3]
    names = {*usual, "mrr", "map", "mean_rank", "ties", chosen.rpartition("/")[2]}
    return [name for name in metrics if name in names or not (name.startswith(FAMILIES) or name.endswith(ENDS))]


def print_config(cfg: DictConfig) -> None:
    """Writes the config as a tree into the run folder; prints it if `print_config` is true (null: on a terminal)."""
    sections: Any = OmegaConf.to_container(cfg, resolve=True)
    tree = Tree("config", guide_style="dim")
    for key, section in sections.items():
        if isinstance(section, dict) and section:
            tree.add(Text(key)).add(Text(OmegaConf.to_yaml(OmegaConf.create(section)).rstrip()))
        else:
            tree.add(Text(f"{key}: {section}"))
    folder = Path(cfg.paths.run_dir)
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_write(folder / CONFIG_TREE) as temporary, temporary.open("w", encoding="utf-8") as file:
        Console(file=file, width=120).print(tree)
    if cfg.print_config or (cfg.print_config is None and sys.stdout.isatty()):
        Console().print(tree)


def with_ends(metrics: Metrics, name: str) -> str:
    """A metric, and its interval where it has one."""
    low, high = (metrics.get(f"{name}{end}") for end in ENDS)
    return f"{metrics[name]:.4f}" + ("" if low is None else f" ({low:.4f} to {high:.4f})")


def print_counts(title: str, counts: Metrics) -> None:
    """Prints names and numbers, one a line, without those that are 0: of what is switched off or does not occur."""
    console = wide_console(WIDTH)
    console.print(title, style="bold", markup=False, highlight=False, soft_wrap=True)
    shown = {name: count for name, count in counts.items() if count}
    width = max(map(len, shown), default=0)
    for name, count in shown.items():
        number = f"{count:,.3f}" if isinstance(count, float) else f"{count:,}"
        console.print(f"  {name.replace('_', ' '):<{width}}  {number:>12}", markup=False, highlight=False)


def write_metrics(folder: Path, metrics: Mapping[str, float], words: Mapping[str, str]) -> None:
    """Writes metrics.json into `folder` and prints its path, as the last line on stdout; see `keep_metrics`."""
    keep_metrics(folder, metrics, words)
    say_metrics(folder)


def keep_metrics(folder: Path, metrics: Mapping[str, float], words: Mapping[str, str]) -> None:
    """Writes metrics.json into `folder`: the metrics, and `words` that say what they are of."""
    folder.mkdir(parents=True, exist_ok=True)
    content = json_text({**words, **metrics}, indent=2)
    write_checksums(folder, {METRICS: content.encode()})
    write_text(folder / METRICS, [content])  # last: a run that has it is done


def say_metrics(folder: Path) -> None:
    """Prints the path of metrics.json, as the last line on stdout."""
    print(f"metrics: {folder / METRICS}", flush=True)


def prefixed(prefix: str, metrics: Mapping[str, Value]) -> dict[str, Value]:
    """The metrics, named `prefix/name`."""
    return {f"{prefix}/{name}": value for name, value in metrics.items()}


def write_table(
    path: Path,
    headings: Sequence[str],
    rows: Sequence[Sequence[str]],
    about: Mapping[str, str],
    details: Mapping[str, Any],
    is_shown: bool = True,
) -> None:
    """Writes a table as Markdown and JSON, and prints it.

    Args:
        path: of the files, without .md and .json.
        headings: of the columns.
        rows: the cells of each row.
        about: what was measured, when and on what, by name; printed and written below the table.
        details: what the JSON file holds instead of cells.
        is_shown: false: write it only, as long as rows are missing.
    """
    as_json, as_markdown = path.with_name(f"{path.name}.json"), path.with_name(f"{path.name}.md")
    write_json(as_json, {"about": about, **details}, indent=2)
    write_text(as_markdown, [markdown(headings, rows, about)])
    if not is_shown:
        return
    table = Table(*headings)
    for cells in rows:
        table.add_row(*map(Text, cells))
    wide_console(200).print(table)
    for name, value in about.items():
        print(f"{name}: {value}")
    print(f"written: {as_json}, {as_markdown}")


def wide_console(width: int) -> Console:
    """Stdout, as wide as this where it is no terminal."""
    console = Console()
    return console if console.is_terminal else Console(width=width)
