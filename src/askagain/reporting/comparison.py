"""Runs beside each other: figures, a paired test, questions won and lost, and settings that differ."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from askagain.errors import InputError
from askagain.ranking.significance import Comparison, compare
from askagain.reporting import charts
from askagain.reporting.record import Record, flat
from askagain.reporting.run_sections import (
    TEST,
    comparison_cells,
    epoch_rows,
    figures_of,
    interval_text,
    label,
    sure,
)
from askagain.reporting.section import Chart, Section, Table

ABOUT = ("data", "version", "commit")  # of what a run is, beside its settings


@dataclass(frozen=True)
class Change:
    """A question that two runs rank differently: its text, that of its duplicate, and both ranks of the duplicate."""

    question: str
    duplicate: str
    first: float
    other: float


class RunComparison:
    """Runs that ranked the same validation rows; the first is what the others are compared with.

    Args:
        runs: their records, by what to call them.

    Raises:
        InputError: two of them ranked other rows, or counted ties in another way.
    """

    def __init__(self, runs: Mapping[str, Record]) -> None:
        self.runs = dict(runs)
        self.name, self.record = next(iter(self.runs.items()))
        for name, record in self.runs.items():
            if (record.validation, record.questions) != (self.record.validation, self.record.questions):
                raise InputError(
                    f"{self.name} and {name} ranked different validation rows ({_rows(self.record)} and "
                    f"{_rows(record)}); only runs on the same rows can be compared"
                )
            if record.ties != self.record.ties:
                raise InputError(
                    f"{self.name} and {name} counted ties differently ({self.record.ties} and {record.ties}); train "
                    "one of them again"
                )

    @property
    def others(self) -> dict[str, Record]:
        """The runs that the first one is compared with."""
        return {name: record for name, record in self.runs.items() if name != self.name}

    @cached_property
    def tests(self) -> dict[str, Comparison]:
        """Each other run against the first one, by the metric that the first one was kept by."""
        first, by, resamples = self.record.per_query[0], self.record.compared_by, self.record.resamples["test"]
        return {
            name: compare(record.per_query[0][by], first[by], resamples, self.record.seed)
            for name, record in self.others.items()
        }

    @cached_property
    def figures(self) -> dict[str, dict[str, tuple[float, tuple[float, float]]]]:
        """The metrics that one reads first, with their intervals, of the kept encoder of each run."""
        figures = {name: figures_of(record)[0] for name, record in self.runs.items()}
        shared = [name for name in figures[self.name] if all(name in values for values in figures.values())]
        return {run: {name: values[name] for name in shared} for run, values in figures.items()}

    def changes(self, name: str) -> tuple[list[Change], list[Change]]:
        """The questions that a run won from the first one, and those that it lost, the largest changes first."""
        ranks = [record.rankers[0].ranks.expected for record in (self.record, self.runs[name])]
        # From rank 2 to 1 is a larger change than from 200 to 100.
        ratios = np.log(ranks[0]) - np.log(ranks[1])
        order = np.argsort(-np.abs(ratios), kind="stable")
        rows = [
            (ratios[i], Change(*self._texts(i), float(ranks[0][i]), float(ranks[1][i])))
            for i in order[ratios[order] != 0].tolist()
        ]
        return [change for ratio, change in rows if ratio > 0], [change for ratio, change in rows if ratio < 0]

    def _texts(self, row: int) -> tuple[str, str]:
        question, duplicate = self.record.questions[row]
        return question, duplicate

    def settings(self) -> list[list[str]]:
        """What differs in the runs' configs: the key, and the value of each run."""
        values = [_settings(record) for record in self.runs.values()]
        keys = dict.fromkeys(key for one in values for key in one)
        rows = [[key, *(one.get(key, "") for one in values)] for key in keys]
        return [row for row in rows if len(set(row[1:])) > 1]

    def sections(self, listed: int) -> list[Section]:
        """The parts of a page; `listed`: the most questions won, and lost, that are shown of each run."""
        return [
            self._figures(),
            self._ranks(),
            self._epochs(),
            *(self._questions(place, name, listed) for place, name in enumerate(self.others, start=1)),
            self._differences(),
        ]

    def _figures(self) -> Section:
        by = self.record.compared_by
        headings, rows = self.figure_table()
        count = len(self.record.questions)
        caption = f"The encoder that each run kept: means over {count:,} questions, with {sure(self.record)}."
        tables = [Table("figures", headings, rows, caption)]
        headings, rows = self.test_table()
        tables.append(Table("tests", headings, rows, f"Each run against {self.name}. {TEST}"))
        drawn = [
            {"name": name, "value": values[by][0], "low": values[by][1][0], "high": values[by][1][1]}
            for name, values in self.figures.items()
            if by in values
        ]
        chart = Chart(
            "figures", charts.values_with_intervals(drawn, label(by)), f"{label(by)}, with {sure(self.record)}."
        )
        return Section("Results", [], [chart], tables, shown=2)

    def figure_table(self) -> tuple[list[str], list[list[str]]]:
        """Headings and rows: the figures of each run with their intervals."""
        rows = [[name, *(interval_text(*values[metric]) for metric in values)] for name, values in self.figures.items()]
        return ["run", *map(label, self.figures[self.name])], rows

    def test_table(self) -> tuple[list[str], list[list[str]]]:
        """Headings and rows: the paired test of each other run."""
        rows = [[name, *comparison_cells(test)] for name, test in self.tests.items()]
        return ["run", f"difference in {label(self.record.compared_by)}", "p", "won", "lost", "tied"], rows

    def _ranks(self) -> Section:
        shares = charts.rank_shares({name: record.rankers[0].ranks.expected for name, record in self.runs.items()})
        caption = "Where each run ranked the duplicate: first at best, far right at worst."
        return Section("Ranks", [], [Chart("ranks", charts.rank_distribution(shares), caption)])

    def _epochs(self) -> Section:
        by = label(self.record.compared_by)
        rows = [
            {**row, "metric": name}
            for name, record in self.runs.items()
            for row in epoch_rows(record)
            if row["metric"] == by
        ]
        if not rows:
            return Section("Epochs", ["None of the runs has epochs with this metric."])
        caption = (
            f"{by} of the validation questions after so many epochs, 0 is the start. Bands are {sure(self.record)}."
        )
        return Section("Epochs", [], [Chart("epochs", charts.metrics_by_epoch(rows, None, by), caption)])

    def _questions(self, place: int, name: str, listed: int) -> Section:
        tables: list[Table] = []
        for what, changes in zip(("won", "lost"), self.changes(name), strict=True):
            rows = [[one.question, one.duplicate, f"{one.first:g}", f"{one.other:g}"] for one in changes[:listed]]
            caption = f"{len(changes):,} questions {what}, those whose rank changed most first."
            headings = ["question", "its duplicate", f"rank by {self.name}", f"rank by {name}"]
            tables.append(Table(f"{what}_{place}", headings, rows, caption, is_text=True))
        title = "Questions won and lost" + (f" by {name}" if len(self.runs) > 2 else "")
        return Section(title, [f"What {name} ranked better, or worse, than {self.name}."], [], tables)

    def _differences(self) -> Section:
        rows = self.settings()
        if not rows:
            return Section("Settings that differ", ["All settings are the same."])
        commands = [f"{name}: {record.about['command']}" for name, record in self.runs.items()]
        table = Table("settings", ["setting", *self.runs], rows, "What differs; all else is the same.", is_text=True)
        return Section("Settings that differ", [], [], [table], commands)


def _rows(record: Record) -> str:
    return f"{len(record.questions):,} of {record.about['data']}"


def _settings(record: Record) -> dict[str, str]:
    """The settings of a run, without what only its folder differs in."""
    folder = str(record.config.get("paths", {}).get("run_dir") or "\0")
    values: dict[str, Any] = {**flat(record.config), **record.machine}
    values |= {name: record.about[name] for name in ABOUT if name in record.about}
    return {
        key: (value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)).replace(folder, "RUN")
        for key, value in values.items()
        if key != "paths.run_dir"
    }


def named(paths: Sequence[str]) -> list[str]:
    """What to call runs: their paths, without the folders that all of them begin with."""
    parts = [path.rstrip("/").split("/") for path in paths]
    shared = 0
    while all(len(one) > shared + 1 for one in parts) and len({tuple(one[: shared + 1]) for one in parts}) == 1:
        shared += 1
    return ["/".join(one[shared:]) for one in parts]
