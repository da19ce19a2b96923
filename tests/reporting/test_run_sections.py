import numpy as np
import pytest

from askagain.ranking.significance import compare
from askagain.reporting.charts import rank_shares
from askagain.reporting.page import page
from askagain.reporting.run_sections import run_sections
from tests.reporting.test_page import cells


def test_rankers_have_the_means_of_their_ranks_and_the_projects_own_test(record):
    text = page("A run", [], run_sections(record), "")
    shown = cells(text, "rankers")
    assert [row[0] for row in shown] == ["best epoch (1)", "before training", "bm25 on the same text"]
    own = 1 / record.rankers[0].ranks.expected
    for row, ranked in zip(shown, record.rankers, strict=True):
        ranks = ranked.ranks.expected
        means = [(ranks <= 1).mean(), (ranks <= 10).mean(), (1 / ranks).mean()]
        assert [cell.split(" [")[0] for cell in row[1:]] == [f"{mean:.4f}" for mean in means]
        low, high = map(float, row[3].split("[")[1].rstrip("]").split(", "))
        assert low < (1 / ranks).mean() < high
    for row, ranked in zip(cells(text, "comparisons"), record.rankers[1:], strict=True):
        test = compare(own, 1 / ranked.ranks.expected, 1000, seed=0)
        assert row[1] == f"{test.difference:+.4f}" and row[3:] == [str(test.wins), str(test.losses), str(test.ties)]
        assert row[2] == (f"{test.p:.2g}" if test.p >= 0.001 else "< 0.001")


def test_all_metrics_are_those_of_metrics_json(record):
    text = page("A run", [], run_sections(record), "")
    assert cells(text, "metrics") == [["mrr", "0.5000 [0.4000, 0.6000]"], ["hits@1", "0.2500"]]


def test_a_test_set_has_a_column_of_its_own(changed, record):
    text = page("A run", [], run_sections(changed(metrics=record.metrics | {"test/mrr": 0.75})), "")
    assert cells(text, "metrics")[0] == ["mrr", "0.5000 [0.4000, 0.6000]", "0.7500"]


def test_wrong_candidates_are_shown_with_what_carried_them(record):
    text = page("A run", [], run_sections(record), "")
    assert cells(text, "worst_questions") == [
        ["mount a disk", "40", "its duplicate", "mount usb", "0.250", ""],
        ["", "", "ranked 1st", "usb disk", "0.750", "disk 0.50, [dis] ~ usb 0.25"],
    ]


def test_shares_of_ranks_add_up_and_stand_in_the_right_bin():
    rows = rank_shares({"a": np.array([1.0, 1.0, 1.5, 2.0, 7.0, 30.0]), "b": np.full(6, 1.0)})
    of_a = {row["rank"]: row["questions"] for row in rows if row["ranker"] == "a"}
    assert of_a == {"1": 3, "2": 1, "3-5": 0, "6-10": 1, "11-20": 0, "21 on": 1}
    assert sum(row["share"] for row in rows) == pytest.approx(2)


@pytest.mark.parametrize(
    ("nothing", "words"),
    [
        ({"epochs": [], "kept_after": None}, "Nothing was trained"),
        ({"dims": [{"dim": 4, "mrr": 0.4, "low": 0.3, "high": 0.5}]}, "too few to leave some out"),
        ({"reliability": {"missing": "There are no groups."}}, "There are no groups."),
        ({"worst": []}, "Every duplicate was ranked first."),
        ({"nearest": [], "word_map": {"word": [], "count": [], "x": [], "y": []}}, "no words of its own"),
    ],
)
def test_a_section_without_anything_to_show_says_so(changed, nothing, words):
    assert words in page("A run", [], run_sections(changed(**nothing)), "")


def test_a_run_without_anything_to_compare_with_has_a_report(changed, record):
    text = page("A run", [], run_sections(changed(rankers=record.rankers[:1])), "")
    assert len(cells(text, "rankers")) == 1 and "table-comparisons" not in text
