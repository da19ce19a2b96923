"""`askagain describe`: what is in a corpus folder."""

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.console import Console

    from askagain.describe.facts import Facts

PATH = click.Path(path_type=Path)
BAR = 40  # characters of the longest


@click.command()
@click.argument("folder", type=PATH, metavar="DIR")
@click.option("--figure", type=PATH, help="Draw group sizes and lengths of texts into this file (.png, .svg or .pdf).")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
def describe(folder: Path, figure: Path | None, as_json: bool) -> None:
    """What is in a folder that train.py reads, and whether it can be trusted.

    Counts rows, groups and words, finds texts that stand on both sides of the split, and says what to do.

    \b
    Examples:
      askagain describe data/mine
      askagain describe data/mine --figure mine.png
    """
    from rich.console import Console

    from askagain.corpus.cache import Cache
    from askagain.corpus.files import CorpusFiles
    from askagain.describe.facts import describe as facts_of
    from askagain.describe.verdict import verdict

    files = CorpusFiles.locate(str(folder))
    facts = facts_of(files, Cache(Path(os.environ.get("ASKAGAIN_CACHE", ".cache"))))
    lines = verdict(facts, str(folder))
    if as_json:
        content = asdict(facts) | {"shared": [[*pair, count] for pair, count in facts.shared.items()], "verdict": lines}
        click.echo(json.dumps(content, ensure_ascii=False, indent=2))
    else:
        console = Console(soft_wrap=True, highlight=False)
        _print(console, facts)
        console.print("\n" + "\n".join(lines), markup=False)
    if figure is not None:
        from askagain.describe.figure import draw

        draw(facts, files, figure)
        click.echo(f"wrote {figure}", err=as_json)


def _print(console: "Console", facts: "Facts") -> None:
    from rich.table import Table

    from askagain.describe.facts import size_bands

    table = Table("file", "lines", "texts", "words a text", "95 % up to", "most", box=None)
    for column in table.columns[1:]:
        column.justify = "right"
    for file in facts.files:
        median, high, most = file.words
        table.add_row(file.name, f"{file.lines:,}", f"{file.texts:,}", f"{median:g}", f"{high:g}", f"{most:,}")
    console.print(table)
    if facts.group_sizes:
        console.print(f"\ngroups by size: {sum(facts.group_sizes.values()):,} in all")
        for label, count in size_bands(facts.group_sizes):
            share = count / sum(facts.group_sizes.values())
            console.print(f"  {label:>7} {count:>8,} {'█' * max(1, round(share * BAR))}", markup=False)
    if facts.rankings:
        console.print()
        _print_rankings(console, facts)
    console.print("\nscripts: " + _shares(facts.scripts), markup=False)
    if facts.languages:
        console.print("languages: " + _shares(facts.languages), markup=False)
    for file in facts.files:
        console.print(f"\n{file.name}, longest: {_cut(file.longest[0])}", markup=False)
        console.print(f"{file.name}, oddest: {_cut(file.oddest[0])}", markup=False)


def _print_rankings(console: "Console", facts: "Facts") -> None:
    from rich.table import Table

    table = Table("", *(ranking.name for ranking in facts.rankings), box=None)
    for column in table.columns[1:]:
        column.justify = "right"
    rows = {
        "rows": [f"{ranking.rows:,}" for ranking in facts.rankings],
        "candidates in a row": [_range(*ranking.candidates) for ranking in facts.rankings],
        "rows trained on": [f"{ranking.leaked:,}" for ranking in facts.rankings],
        "rows with a text twice": [f"{ranking.repeated:,}" for ranking in facts.rankings],
        "rows close to train.tsv": [f"{ranking.near:,}" for ranking in facts.rankings],
        "duplicates without a common word": [f"{ranking.apart:.1%}" for ranking in facts.rankings],
        "words in no training text": [f"{ranking.unknown_words:.1%}" for ranking in facts.rankings],
    }
    for other in dict.fromkeys(other for _, other in facts.shared):
        counts = [facts.shared.get((ranking.name, other)) for ranking in facts.rankings]
        rows[f"questions and duplicates in {other}"] = ["" if count is None else f"{count:,}" for count in counts]
    for name, cells in rows.items():
        table.add_row(name, *cells)
    console.print(table)
    if facts.apart is not None:
        console.print(f"pairs of train.tsv without a common word: {facts.apart:.1%}", markup=False)


def _shares(shares: dict[str, float], most: int = 4) -> str:
    shown = [f"{name} {share:.1%}" for name, share in list(shares.items())[:most]]
    rest = 1 - sum(list(shares.values())[:most])
    return ", ".join(shown) + (f", others {rest:.1%}" if rest >= 0.0005 else "")


def _range(low: int, high: int) -> str:
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def _cut(text: str, most: int = 100) -> str:
    return text if len(text) <= most else f"{text[:most]}..."
