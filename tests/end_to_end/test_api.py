"""The two commands as functions, and the notebook that shows them."""

import json
import os
import shutil
from pathlib import Path

import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient
from omegaconf import OmegaConf

import askagain
from askagain.errors import InputError
from askagain.synthetic.sample import write_sample
from tests.conftest import ROOT

QUICK = ["trainer.max_epochs=1", "model.dim=16", "trainer.accelerator=cpu", "logger=csv"]


@pytest.fixture
def places(tmp_path: Path, cache_folder: Path, small: Path) -> list[str]:
    """Overrides for a small corpus, with the runs below tmp_path."""
    return [f"paths.runs_dir={tmp_path / 'runs'}", f"paths.cache_dir={cache_folder}", "data=tsv", f"data.dir={small}"]


def test_a_trained_run_has_the_metrics_of_its_folder_and_an_encoder_that_evaluates_to_them(places: list[str]):
    run = askagain.train(overrides=[*QUICK, *places])
    assert run.metrics == json.loads((run.folder / "metrics.json").read_text())
    vectors = run.encoder.encode(["how to mount a disk"])
    assert vectors.shape == (1, 16) and np.linalg.norm(vectors) == pytest.approx(1)

    again = askagain.evaluate(run.folder, overrides=places)
    assert again.metrics["val/mrr"] == pytest.approx(run.metrics["val/mrr"], abs=1e-6)
    assert again.folder != run.folder


def test_what_was_typed_is_noted_as_the_command_notes_it(places: list[str]):
    run = askagain.train("dssm", [*QUICK, *places, "trainer.max_steps=1"])
    noted = (run.folder / ".hydra" / "overrides.yaml").read_text()
    assert "- experiment=dssm" in noted and "- trainer.max_steps=1" in noted
    assert "max_steps: 1" in (run.folder / ".hydra" / "config.yaml").read_text()


def test_a_mistake_is_an_input_error(places: list[str]):
    with pytest.raises(InputError, match="nowhere"):
        askagain.evaluate("nowhere", overrides=places)


def test_text_that_looks_like_something_else_is_text_as_on_the_command_line(
    tmp_path: Path, cache_folder: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    write_sample(tmp_path / "2024_01", seed=3, groups=300, rows=40, negatives=60)
    write_sample(tmp_path / "202401", seed=4, groups=300, rows=40, negatives=60)
    words = [f"paths.cache_dir={cache_folder}", "data=tsv", "data.dir=2024_01", *QUICK, "trainer.max_steps=1"]
    run = askagain.train(overrides=[*words, "name=дубль"])
    assert run.folder.name.endswith("_дубль")
    config = OmegaConf.load(run.folder / ".hydra" / "config.yaml")
    assert (config.data.dir, config.name) == ("2024_01", "дубль")


def test_a_test_set_that_is_to_be_left_alone_is_not_read(places: list[str], small: Path, tmp_path: Path):
    shutil.copytree(small, tmp_path / "data")
    (tmp_path / "data" / "test.tsv").write_text("one column\n")
    words = [*QUICK, *places, f"data.dir={tmp_path / 'data'}", "trainer.max_steps=1"]
    with pytest.raises(InputError, match=r"test\.tsv"):
        askagain.train(overrides=words)
    run = askagain.train(overrides=[*words, "test=false"])
    assert not any(name.startswith("test/") for name in run.metrics)


def test_damaged_metrics_are_an_input_error(places: list[str]):
    run = askagain.train(overrides=[*QUICK, *places, "trainer.max_steps=1"])
    file = run.folder / "metrics.json"
    file.write_text(file.read_text().replace("1", "2"))
    with pytest.raises(InputError, match=r"metrics\.json is not what was written"):
        _ = run.metrics


@pytest.mark.slow
def test_the_notebook_runs_from_top_to_bottom(tmp_path: Path, cache_folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ASKAGAIN_CACHE", str(cache_folder))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT / "src"), os.environ.get("PYTHONPATH", "")]))
    notebook = nbformat.read(ROOT / "notebooks" / "quickstart.ipynb", as_version=4)
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    assert list(tmp_path.glob("runs/*_dssm/metrics.json"))
