import pytest
from lxml import html

from tests.cli.conftest import refused
from tests.reporting.conftest import ROWS, library_cache, ranked, record  # noqa: F401


@pytest.fixture
def saved(record, library_cache, tmp_path, monkeypatch):  # noqa: F811
    """Two run folders, with what their trainings left."""
    from dataclasses import replace

    monkeypatch.setenv("ASKAGAIN_CACHE", str(library_cache.folder))
    monkeypatch.chdir(tmp_path)
    for name, seed in (("one", 1), ("two", 5)):
        (tmp_path / name).mkdir()
        replace(record, rankers=[ranked("best epoch (1)", seed)]).save(tmp_path / name)
    return tmp_path


def title_of(path):
    return html.parse(str(path)).findtext(".//h1/bdi")


def test_the_report_of_a_run_is_made_again(askagain, saved):
    answer = askagain("report", "one")
    assert answer.status == 0 and answer.out == "report: one/report.html\n"
    assert title_of(saved / "one" / "report.html") == "dssm: report of a run"


def test_runs_are_compared_in_a_table_and_on_a_page(askagain, saved):
    answer = askagain("report", saved / "one", "two", "-o", "both.html")
    assert answer.status == 0 and answer.out.splitlines()[-1] == "report: both.html"
    assert title_of(saved / "both.html") == "Runs compared"
    lines = [line.split() for line in answer.out.splitlines()]
    first, second = (1 / ranked("", seed).ranks.expected for seed in (1, 5))
    (figures, test) = [line for line in lines if line[0] == "two"]
    assert f"{second.mean():.4f}" in figures
    counts = [(second > first).sum(), (second < first).sum(), (second == first).sum()]
    assert test[1] == f"{(second - first).mean():+.4f}" and list(map(int, test[3:])) == counts
    assert askagain("report", "one", "two").out.splitlines()[-1] == "report: comparison.html"


def test_what_is_no_run_is_refused_in_one_line(askagain, saved):
    (saved / "empty").mkdir()
    assert "empty: no report.json in it" in refused(askagain("report", "empty"))
    assert "nowhere: no such run folder" in refused(askagain("report", "one", "nowhere"))
    assert "one is given twice" in refused(askagain("report", "one", saved / "one"))
    assert "name a file that ends in .html" in refused(askagain("report", "one", "-o", "two"))
    assert "Missing argument" in refused(askagain("report"))
    assert not (saved / "one" / "report.html").exists()


def test_runs_on_other_rows_are_refused_with_both_names(askagain, saved, record):  # noqa: F811
    from dataclasses import replace

    replace(record, validation="1" * 64).save(saved / "two")
    line = refused(askagain("report", "one", "two"))
    assert line.startswith("error: one and two ranked different validation rows") and f"{ROWS} of data/mine" in line
    assert not (saved / "comparison.html").exists()
