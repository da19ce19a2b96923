import csv

import pytest

from askagain.errors import InputError
from askagain.training.csv_logger import CsvLogger


def log(folder, steps, **more):
    """A run that logs these steps."""
    logger = CsvLogger(str(folder))
    for step in steps:
        logger.log_metrics({"train/loss": 0.5, **more}, step)
        logger.save()
    return logger


def steps(folder):
    with (folder / "metrics.csv").open() as file:
        return [int(row["step"]) for row in csv.DictReader(file)]


def test_a_resumed_run_drops_its_own_steps_and_leaves_those_of_an_earlier_run(tmp_path):
    log(tmp_path, range(10))
    log(tmp_path, range(5))
    CsvLogger(str(tmp_path)).resume_at(3)
    assert steps(tmp_path) == [*range(10), 0, 1, 2]


def test_a_row_that_was_not_logged_any_more_is_added_once(tmp_path):
    log(tmp_path, range(3), epoch=0)
    row = {"train/loss": 0.25, "epoch": 0, "step": 3}
    for _ in range(2):
        CsvLogger(str(tmp_path)).resume_at(4, row)
        assert steps(tmp_path) == [0, 1, 2, 3]
    CsvLogger(str(tmp_path)).resume_at(4, {"train/loss_epoch": 0.2, "step": 3})
    assert steps(tmp_path) == [0, 1, 2, 3, 3]


def test_a_new_column_is_empty_in_the_rows_before_it(tmp_path):
    log(tmp_path, [0, 1])
    log(tmp_path, [2], **{"val/mrr": 0.75})
    lines = (tmp_path / "metrics.csv").read_text().splitlines()
    assert lines == ["step,train/loss,val/mrr", "0,0.5,", "1,0.5,", "2,0.5,0.75"]


def test_a_row_that_was_cut_is_left_out(tmp_path):
    log(tmp_path, [0, 1])
    file = tmp_path / "metrics.csv"
    file.write_text(file.read_text()[:-2])
    log(tmp_path, [2])
    assert file.read_text().splitlines() == ["step,train/loss", "0,0.5", "2,0.5"]


def test_a_file_that_is_no_csv_is_one_line(tmp_path):
    (tmp_path / "metrics.csv").write_text('step\n"' + "1" * 200_000 + "\n")
    with pytest.raises(InputError, match=r"metrics.csv: cannot be read .*move it away"):
        log(tmp_path, [0])


def test_rows_are_appended_and_not_written_anew(tmp_path):
    logger = CsvLogger(str(tmp_path))
    files = set()
    for step in range(20):
        logger.log_metrics({"train/loss": 0.5}, step)
        logger.save()
        files.add((tmp_path / "metrics.csv").stat().st_ino)
    assert len(files) == 1
