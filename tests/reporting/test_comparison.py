from dataclasses import replace

import numpy as np
import pytest

from askagain.errors import InputError
from askagain.ranking.metrics import reciprocal_rank
from askagain.ranking.significance import compare
from askagain.reporting.comparison import RunComparison, named
from askagain.reporting.page import page
from tests.reporting.conftest import ROWS, ranked
from tests.reporting.test_page import cells


@pytest.fixture
def runs(record, changed):
    """Two runs on the same rows."""
    other = changed(
        rankers=[ranked("best epoch (0)", 5, worst=20)],
        config={"seed": 1, "model": {"dim": 8}, "paths": {"run_dir": "runs/b"}, "folder": "runs/b/encoder"},
    )
    return {"a": record, "b": other}


def expected_ranks(record):
    return record.rankers[0].ranks.expected


def test_the_paired_test_is_the_projects_own_on_the_same_rows(runs):
    test = RunComparison(runs).tests["b"]
    first, other = (reciprocal_rank(record.rankers[0].ranks) for record in runs.values())
    assert test == compare(other, first, 1000, seed=0)
    assert test.wins == (other > first).sum() and test.wins + test.losses + test.ties == ROWS
    (shown,) = cells(page("", [], RunComparison(runs).sections(5), ""), "tests")
    assert shown[:2] == ["b", f"{(other - first).mean():+.4f}"] and shown[3:5] == [str(test.wins), str(test.losses)]


def test_questions_won_and_lost_have_both_ranks_and_the_largest_change_first(runs):
    comparison = RunComparison(runs)
    won, lost = comparison.changes("b")
    first, other = (expected_ranks(record) for record in runs.values())
    assert len(won) == (other < first).sum() and len(lost) == (other > first).sum()
    assert all(change.other < change.first for change in won)
    ratios = [np.log(change.first / change.other) for change in won]
    assert ratios == sorted(ratios, reverse=True)
    row = int(won[0].question.removeprefix("question "))
    assert won[0].duplicate == f"duplicate {row}" and (won[0].first, won[0].other) == (first[row], other[row])
    text = page("", [], comparison.sections(3), "")
    assert cells(text, "won_1")[0] == [won[0].question, won[0].duplicate, f"{won[0].first:g}", f"{won[0].other:g}"]
    assert len(cells(text, "won_1")) == len(cells(text, "lost_1")) == 3


def test_settings_that_differ_are_shown_side_by_side_without_the_folders_of_the_runs(runs):
    assert RunComparison(runs).settings() == [["seed", "0", "1"]]
    assert cells(page("", [], RunComparison(runs).sections(1), ""), "settings") == [["seed", "0", "1"]]
    alone = {"a": runs["a"], "b": runs["a"]}
    assert "All settings are the same." in page("", [], RunComparison(alone).sections(1), "")


def test_a_setting_that_only_one_run_has_differs(runs, record):
    more = replace(record, config=record.config | {"model": {"dim": 8, "normalize": True}})
    assert RunComparison({"a": record, "b": more}).settings() == [["model.normalize", "", "true"]]


def test_figures_of_each_run_have_intervals(runs):
    rows = cells(page("", [], RunComparison(runs).sections(1), ""), "figures")
    for row, record in zip(rows, runs.values(), strict=True):
        mean = (1 / expected_ranks(record)).mean()
        low, high = map(float, row[3].split("[")[1].rstrip("]").split(", "))
        assert row[3].startswith(f"{mean:.4f} [") and low < mean < high


@pytest.mark.parametrize("difference", [{"validation": "1" * 64}, {"questions": [["a", "b"]] * ROWS}])
def test_runs_on_other_validation_rows_are_refused_by_name(record, changed, difference):
    other = changed(about=record.about | {"data": "data/other"}, **difference)
    with pytest.raises(InputError, match=r"^runs/a and runs/b ranked different .*data/mine.*data/other"):
        RunComparison({"runs/a": record, "runs/b": other})


def test_runs_that_count_ties_differently_are_refused(record, changed):
    with pytest.raises(InputError, match=r"^a and b counted ties differently \(expected and optimistic\)"):
        RunComparison({"a": record, "b": changed(ties="optimistic")})


def test_every_chart_of_three_runs_has_a_name_of_its_own(runs):
    sections = RunComparison({**runs, "c": runs["b"]}).sections(2)
    names = [chart.name for section in sections for chart in section.charts]
    tables = [table.name for section in sections for table in section.tables]
    titles = [section.title for section in sections]
    assert len(set(names)) == len(names) and len(set(titles)) == len(titles) and len(set(tables)) == len(tables)


def test_runs_are_called_by_what_tells_their_paths_apart():
    assert named(["/x/runs/a", "/x/runs/b/"]) == ["a", "b"]
    assert named(["/x/sweep/0/run", "/x/sweep/1/run"]) == ["0/run", "1/run"]
    assert named(["/x/a", "/x/a/b"]) == ["a", "a/b"]
