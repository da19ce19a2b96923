import pytest

from askagain.apps.resume import LAST_CHECKPOINT, _newest_run

RUNS = {
    "2026-01-01_00-00-00_dssm": True,
    "2026-01-02_00-00-00_dssm": True,
    "2026-01-03_00-00-00_dssm": False,  # ended before its first checkpoint
    "2026-01-04_00-00-00_quora_dssm": True,  # another name
    "dssm": True,  # a folder that was named by hand
    "2026-01-05_00-00-00_dssm": True,  # the run that asks
    "2026-01-03_00-00-00_exp/a": True,
    "2026-01-02_00-00-00_2024": True,
}


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("dssm", "2026-01-02_00-00-00_dssm"),
        ("quora_dssm", "2026-01-04_00-00-00_quora_dssm"),
        ("exp/a", "2026-01-03_00-00-00_exp/a"),
        ("2024", "2026-01-02_00-00-00_2024"),
    ],
)
def test_last_is_the_newest_other_run_of_exactly_that_name_that_has_a_checkpoint(tmp_path, name, found):
    for run, has_checkpoint in RUNS.items():
        file = tmp_path / run / LAST_CHECKPOINT
        file.parent.mkdir(parents=True)
        if has_checkpoint:
            file.touch()
    assert _newest_run(tmp_path, name, tmp_path / "2026-01-05_00-00-00_dssm") == tmp_path / found
    assert _newest_run(tmp_path, "*", tmp_path) == tmp_path  # none
