"""What the pages of a leaderboard and of learning curves show."""

from collections.abc import Mapping, Sequence
from typing import Any

from askagain.reporting import charts
from askagain.reporting.run_sections import label
from askagain.reporting.section import Chart, Section, Table


def board_sections(
    headings: Sequence[str],
    rows: Sequence[Sequence[str]],
    about: Mapping[str, str],
    drawn: Sequence[Mapping[str, Any]],
    metric: str,
) -> list[Section]:
    """The table of rankers, a chart of it, and what it was measured on.

    Args:
        headings: of the table.
        rows: its cells.
        about: what was measured, when and on what, by name.
        drawn: `name`, `speed` in texts a second, `value` of `metric`, and `low` and `high`, of each ranker.
        metric: that is drawn.
    """
    caption = f"{label(metric)} against the texts that a ranker embeds a second; lines are intervals of the metric."
    chart = Chart("leaderboard", charts.quality_by_speed(drawn, label(metric)), caption)
    table = Table("leaderboard", [label(heading) for heading in headings], rows, "Rankers, with intervals in brackets.")
    return [Section("Rankers", [], [chart], [table]), _measured(about)]


def curve_charts(panels: Mapping[str, Sequence[Mapping[str, Any]]], metric: str) -> list[Chart]:
    """A chart of learning curves for each kind of data; a method has the same colour in all of them.

    Args:
        panels: rows of `charts.learning_curves` by what their sizes count, such as `groups`.
        metric: that is drawn.
    """
    drawn = [row for rows in panels.values() for row in rows]
    names = list(dict.fromkeys(row["name"] for row in drawn))
    ends = min(row["lowest"] for row in drawn), max(row["highest"] for row in drawn)
    return [
        Chart(
            f"curves-{place}",
            charts.learning_curves(rows, names, ends, f"{unit}, on a log scale", label(metric)),
            f"{label(metric)} against the number of {unit}; bands go from the lowest to the highest draw.",
        )
        for place, (unit, rows) in enumerate(panels.items())
    ]


def curve_sections(
    headings: Sequence[str], rows: Sequence[Sequence[str]], about: Mapping[str, str], drawn: Sequence[Chart]
) -> list[Section]:
    """The charts of learning curves, their table, and what it was measured on; see `board_sections`."""
    table = Table("learning-curves", headings, rows, "Methods by the amount of data, with intervals in brackets.")
    return [Section("Learning curves", [], drawn, [table]), _measured(about)]


def _measured(about: Mapping[str, str]) -> Section:
    table = Table("about", ["what", ""], [[name, value] for name, value in about.items()], "What was measured.")
    return Section("Measured on", [], [], [table])
