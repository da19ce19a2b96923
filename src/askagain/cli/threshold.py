"""`askagain threshold`: from which cosine on two questions are duplicates, and how probable each cosine makes it."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from askagain.cli.corpora import PATH, load
from askagain.cli.options import number

if TYPE_CHECKING:
    from askagain.evaluation.thresholds import Reliability, ThresholdRow, Thresholds

EVERY = 5  # hundredths between the rows that are printed


@click.command()
@click.option("--encoder", type=PATH, required=True, metavar="PATH", help="A run folder, an encoder folder or a name.")
@click.option("--data", type=PATH, required=True, metavar="DIR", help="A corpus folder with validation.tsv.")
@click.option("--others", type=click.IntRange(1), default=1000, show_default=True, help="Texts beside the duplicate.")
@click.option(
    "--precision", type=click.FloatRange(0, 1, min_open=True), callback=number, help="Wanted of the threshold [0.7]."
)
@click.option("--figure", type=PATH, help="Draw precision, recall and reliability into this file (.png, .svg, .pdf).")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
def threshold(
    encoder: Path, data: Path, others: int, precision: float | None, figure: Path | None, as_json: bool
) -> None:
    """Learn from labelled questions what a cosine means.

    The questions of DIR's validation.tsv are compared with their duplicates and with all other texts of DIR. Precision
    and probability are those among a question's duplicate and --others texts. The result is kept in the encoder's
    folder, where askagain duplicates --threshold auto and askagain search find it.

    \b
    Examples:
      askagain threshold --encoder runs/mine --data data/mine
      askagain threshold --encoder runs/mine --data data/mine --precision 0.8 --figure threshold.png
    """
    import json
    from dataclasses import replace

    from askagain.errors import InputError
    from askagain.evaluation.pair_scores import labelled_counts
    from askagain.evaluation.thresholds import cross_fitted_reliability, learn_thresholds, reliability
    from askagain.models.folder import encoder_folder

    if figure is not None:
        from askagain.evaluation.threshold_figure import check_figure

        check_figure(figure)
    if encoder.suffix == ".ckpt":
        raise InputError(f"{encoder}: a checkpoint has no folder to keep a threshold in; give the run folder")
    kept_in = encoder_folder(encoder)
    loaded = load(encoder)
    counts, tested = labelled_counts(loaded, data)
    learned, rows = learn_thresholds(counts, others, precision)
    checked = cross_fitted_reliability(counts, learned) if tested is None else reliability(learned, tested)
    facts = dict(learned.facts) | {
        "data": str(data),
        "groups": len(counts),
        "texts": counts.collection,
        "rows": [asdict(row) for row in rows],
        "reliability": asdict(checked),
        "reliability_of": "validation groups, each held out in turn" if tested is None else "the groups of test.tsv",
    }
    learned = replace(learned, facts=facts)
    path = learned.save(kept_in)
    if as_json:
        click.echo(json.dumps(asdict(learned), ensure_ascii=False))
    else:
        _print(learned, rows, checked)
    if figure is not None:
        from askagain.evaluation.threshold_figure import draw

        draw(learned, rows, checked, figure)
        click.echo(f"wrote {figure}", err=as_json)
    click.echo(f"wrote {path}", err=as_json)


def _print(learned: "Thresholds", rows: "list[ThresholdRow]", checked: "Reliability") -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False, soft_wrap=True)
    facts: dict[str, Any] = dict(learned.facts)
    console.print(
        f"{facts['groups']:,} groups, compared with {facts['texts']:,} texts; figures for a question, its duplicate "
        f"and {learned.others:,} others",
        markup=False,
    )
    table = Table("threshold", "precision [95 %]", "recall [95 %]", "F1 [95 %]", box=None)
    for column in table.columns:
        column.justify = "right"
    for row in rows:
        is_chosen = row.threshold == learned.threshold
        if is_chosen or round(row.threshold * 100) % EVERY == 0:
            cells = [f"{row.threshold:.2f}"]
            for name in ("precision", "recall", "f1"):
                low, high = getattr(row, f"{name}_low"), getattr(row, f"{name}_high")
                cells.append(f"{getattr(row, name):.3f} [{low:.3f}, {high:.3f}]")
            table.add_row(*map(Text, cells), style="bold" if is_chosen else None)
    console.print(table)
    chosen = next(row for row in rows if row.threshold == learned.threshold)
    why = "the lowest with a precision of" if chosen.precision >= facts["wanted"] else "the most precise; none has"
    console.print(f"threshold: {learned.threshold:g}, {why} {facts['wanted']:g}", markup=False)
    console.print(
        f"probabilities ({facts['method']}): expected calibration error {checked.error:.4f} on "
        f"{facts['reliability_of']}",
        markup=False,
    )
    for predicted, actual, weight in zip(checked.predicted, checked.actual, checked.weights, strict=True):
        console.print(f"  said {predicted:.2f}, was {actual:.2f} ({weight:.1%} of the pairs)", markup=False)
