"""`askagain report`: the report of a run made again, or several runs compared."""

import os
from pathlib import Path

import click

from askagain.cli.corpora import PATH

COMPARISON = Path("comparison.html")


@click.command()
@click.argument("runs", type=PATH, nargs=-1, required=True, metavar="RUN...")
@click.option("-o", "output", type=PATH, metavar="FILE", help="Where to write [RUN/report.html or comparison.html].")
@click.option(
    "--questions",
    type=click.IntRange(1),
    default=20,
    show_default=True,
    help="How many won, and lost, are shown.",
)
def report(runs: tuple[Path, ...], output: Path | None, questions: int) -> None:
    """Make the report of a run again, or compare runs.

    Runs are folders of train.py. The first of several is what the others are compared with, by a paired test on the
    same validation rows: figures with intervals, questions won and lost, and the settings that differ.

    \b
    Examples:
      askagain report RUN
      askagain report RUN1 RUN2 RUN3 -o comparison.html
    """
    from askagain.corpus.cache import Cache
    from askagain.errors import InputError
    from askagain.reporting.record import Record

    twice = [run for place, run in enumerate(runs) if run.resolve() in [other.resolve() for other in runs[:place]]]
    if twice:
        raise InputError(f"{twice[0]} is given twice; name each run once")
    if output is not None and (output.suffix not in (".html", ".htm") or output.is_dir()):
        raise InputError(f"-o {output}: name a file that ends in .html")
    records = [Record.load(run) for run in runs]
    cache = Cache(Path(os.environ.get("ASKAGAIN_CACHE", ".cache")))
    if len(runs) == 1:
        from askagain.reporting.run_page import PAGE, write_run_page
        from askagain.reporting.run_sections import run_sections

        path = output or runs[0] / PAGE
        write_run_page(path, records[0], run_sections(records[0]), cache)
        click.echo(f"report: {path}")
        return
    from askagain.reporting.comparison import RunComparison, named
    from askagain.reporting.page import write_page

    comparison = RunComparison(dict(zip(named([str(run.resolve()) for run in runs]), records, strict=True)))
    path = output or COMPARISON
    words = [f"{records[0].about['data']}, {len(records[0].questions):,} validation questions"]
    write_page(path, "Runs compared", words, comparison.sections(questions), cache)
    _print(*comparison.figure_table())
    _print(*comparison.test_table())
    click.echo(f"report: {path}")


def _print(headings: list[str], rows: list[list[str]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None)
    for place, heading in enumerate(headings):
        table.add_column(Text(heading), justify="right" if place else "left")
    for row in rows:
        table.add_row(*map(Text, row))
    console = Console(highlight=False)
    (console if console.is_terminal else Console(highlight=False, width=140)).print(table)
