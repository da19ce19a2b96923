from pathlib import Path

import pytest
from omegaconf import OmegaConf
from pytorch_lightning.loggers import MLFlowLogger

from askagain.apps.run_logs import LOGGED_TO, continue_logs, note_logs


class Logged(MLFlowLogger):
    """A logger with a run, without MLflow."""

    run_id = "0123abc"

    def __init__(self):
        pass


@pytest.fixture
def resumed(tmp_path: Path):
    """The config of a run that goes on in its own folder and has logged to a run of MLflow."""
    logger = {"mlflow": {"_target_": "MLFlowLogger"}}
    cfg = OmegaConf.create({"paths": {"run_dir": str(tmp_path)}, "ckpt_path": None, "logger": logger})
    note_logs(cfg, [Logged()])
    cfg.ckpt_path = str(tmp_path / "checkpoints" / "last.ckpt")
    return cfg


def test_the_run_that_was_logged_to_is_continued(resumed, caplog):
    continue_logs(resumed)
    assert resumed.logger.mlflow.run_id == "0123abc" and not caplog.messages


@pytest.mark.parametrize("damage", [lambda text: text.replace("1", "2"), lambda text: text[:-3], lambda _: "[" * 5000])
def test_a_damaged_note_begins_a_new_run_with_a_line(resumed, tmp_path, caplog, damage):
    for file in (tmp_path / LOGGED_TO).glob("ids.json"):
        file.write_text(damage(file.read_text()))
    continue_logs(resumed)
    assert "run_id" not in resumed.logger.mlflow
    assert len(caplog.messages) == 1 and "logged_to is damaged" in caplog.text and "a new run" in caplog.text


def test_a_run_that_has_logged_nowhere_says_nothing(resumed, tmp_path, caplog):
    (tmp_path / LOGGED_TO).rename(tmp_path / "away")
    continue_logs(resumed)
    assert "run_id" not in resumed.logger.mlflow and not caplog.messages
