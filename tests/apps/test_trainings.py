"""Which trainings of a leaderboard are done again; a script takes the place of train.py and only counts."""

import logging
from pathlib import Path

import pytest
from hydra import initialize_config_dir
from omegaconf import OmegaConf

from askagain.apps.inputs import file_states
from askagain.apps.trainings import Trainings
from askagain.synthetic.sample import write_sample
from tests.conftest import ROOT

TRAIN = """
import sys
from pathlib import Path
from omegaconf import OmegaConf
from askagain.apps.report import write_metrics
folder = Path(sys.argv[-1].partition("=")[2].strip("'"))
OmegaConf.save(OmegaConf.create(sys.argv[1:-1]), folder / "notes.yaml")
(folder / ".hydra").mkdir(exist_ok=True)
(folder / "notes.yaml").rename(folder / ".hydra" / "overrides.yaml")
write_metrics(folder, {"val/mrr": 0.5}, {})
with Path(__file__).with_name("runs").open("a") as runs:
    print("trained", file=runs)
"""


@pytest.fixture
def board(tmp_path: Path, cache_folder: Path):
    """Trains and returns how many trainings there were so far."""
    (tmp_path / "train.py").write_text(TRAIN)
    write_sample(tmp_path / "data", seed=3, groups=20, rows=4, negatives=6)
    shared = ["data=tsv", f"data.dir={tmp_path / 'data'}", f"paths.cache_dir={cache_folder}"]

    def train(*overrides: str) -> int:
        with initialize_config_dir(str(ROOT / "configs"), version_base="1.3"):
            Trainings(tmp_path / "board", shared, tmp_path, 1).run("mine", overrides, seed=0)
        return (tmp_path / "runs").read_text().count("trained")

    return train


def test_a_training_is_repeated_for_other_data_in_the_same_folder(board, tmp_path):
    assert board("model.dim=8") == board("model.dim=8") == 1
    train = tmp_path / "data" / "train.tsv"
    lines = train.read_text().splitlines(keepends=True)
    train.write_text("".join(lines[1:]))
    assert board("model.dim=8") == board("model.dim=8") == 2
    assert board("model.dim=16") == 3


def test_no_training_starts_from_what_this_machine_alone_has_unless_it_says_so(board, tmp_path):
    def given() -> list[str]:
        return list(OmegaConf.load(tmp_path / "board" / "mine" / "seed-0" / ".hydra" / "overrides.yaml"))

    board("experiment=dssm")
    assert "start=random" in given()
    board("experiment=trigram")  # has no start
    assert not any(override.startswith("start=") for override in given())
    board("start=word_vectors")
    assert [override for override in given() if override.startswith("start=")] == ["start=word_vectors"]


def test_a_training_is_repeated_for_another_stopword_file_of_the_same_name(board, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("words").write_text("the\n")
    assert board("preprocessor.stopwords=words") == board("preprocessor.stopwords=words") == 1
    Path("words").write_text("the\na\n")
    assert board("preprocessor.stopwords=words") == 2


@pytest.mark.parametrize("name", ["metrics.json", "checksums.json", "inputs.json", ".hydra/overrides.yaml"])
def test_a_training_with_a_damaged_file_is_repeated_with_a_line(board, tmp_path, caplog, name):
    assert board() == 1
    (tmp_path / "board" / "mine" / "seed-0" / name).write_text("{ [damaged")
    with caplog.at_level(logging.INFO):
        assert board() == 2
    assert sum("trained again, since a file of it is damaged" in line for line in caplog.messages) == 1


def test_a_replaced_encoder_is_noticed_by_a_name_without_a_slash(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("enc").mkdir()
    (tmp_path / "enc" / "encoder.json").write_text("{}")
    settings = {"encoder": {"path": "enc"}, "name": "", "ks": [1], "paths": {"run_dir": str(tmp_path)}}
    before = file_states(settings)
    assert len(before) == 1 and before == file_states(settings)
    (tmp_path / "enc" / "encoder.json").write_text("{ }")
    assert file_states(settings) != before


def test_a_named_encoder_that_is_built_again_is_noticed(tmp_path, monkeypatch):
    monkeypatch.setenv("ASKAGAIN_HOME", str(tmp_path))
    built = tmp_path / "encoders" / "mine"
    built.mkdir(parents=True)
    (built / "encoder.json").write_text("{}")
    settings = {"encoder": {"path": "mine"}}
    before = file_states(settings)
    assert len(before) == 1 and before == file_states(settings)
    (built / "encoder.json").write_text("{ }")
    assert file_states(settings) != before
