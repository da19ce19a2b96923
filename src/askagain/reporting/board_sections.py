"""What the page of a leaderboard shows."""

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
    measured = Table("about", ["what", ""], [[name, value] for name, value in about.items()], "What was measured.")
    return [Section("Rankers", [], [chart], [table]), Section("Measured on", [], [], [measured])]
