"""experiment=finetune with a tiny model, as a user types it."""

import os

import pytest

from tests.end_to_end.conftest import column, metrics_of, refused, succeeded
from tests.training.tiny_model import write_tiny_model

pytestmark = pytest.mark.slow
pytest.importorskip("sentence_transformers", reason="requirements-teacher.txt is not installed")


@pytest.fixture(scope="module")
def words(small, tmp_path_factory):
    """What is typed to fine-tune a tiny model that knows the words of `small`."""
    texts = (small / "train.tsv").read_text().replace("\t", "\n").splitlines()
    model = write_tiny_model(tmp_path_factory.mktemp("tiny") / "model", texts)
    chosen = ("teacher=sentence_transformer", f"teacher.model={model}", "trainer.accelerator=cpu")
    return ("experiment=finetune", *chosen, "data=tsv", f"data.dir={small}", "data.batch_size=32")


def test_a_tuned_model_ranks_as_its_run_says_and_can_be_distilled_from(command, words, small):
    result = command("train.py", *words, "optimizer.lr=0.01", "trainer.max_epochs=2", "logger=csv")
    run = succeeded(result)
    metrics = metrics_of(run)
    assert metrics["val/mrr"] > metrics["start/mrr"] + 0.05
    assert "the teacher" in result.stdout and f"model: {run / 'model'}" in result.stdout
    assert len(column(run, "sample/mrr")) == 3  # of the start and of both epochs
    data = ("data=tsv", f"data.dir={small}")
    ranked = succeeded(command("evaluate.py", "encoder=sentence_transformers", f"encoder.path={run / 'model'}", *data))
    assert metrics_of(ranked)["val/mrr"] == pytest.approx(metrics["val/mrr"], abs=1e-4)
    taught = ("teacher=sentence_transformer", f"teacher.model={run / 'model'}", "trainer.max_epochs=1", "report=false")
    assert metrics_of(succeeded(command("train.py", "experiment=distill", *taught, *data)))["data/teacher_dim"] == 32


def test_a_model_that_tuning_did_not_better_is_kept_as_it_was(command, words):
    result = command("train.py", *words, "optimizer.lr=0")
    run = succeeded(result)
    metrics = metrics_of(run)
    ranks = {name.removeprefix("val/") for name in metrics if name.startswith("val/")} - {"loss", "seconds"}
    assert all(metrics[f"start/{name}"] == metrics[f"val/{name}"] for name in ranks) and "mrr" in ranks
    assert f"{run / 'model'} is the teacher as it was" in result.stdout


def test_what_fine_tuning_cannot_do_is_one_line(command, words, tmp_path):
    assert "on one device" in refused(command("train.py", *words, "trainer.devices=2"))
    assert "save_as=mine: encoders are kept under a name" in refused(command("train.py", *words, "save_as=mine"))
    (tmp_path / "old").mkdir()
    assert "writes no checkpoints" in refused(command("train.py", *words, f"ckpt_path={tmp_path / 'old'}"))
    missing = refused(command("train.py", *words, "teacher.model=nowhere"))
    assert "nowhere: neither a folder of a sentence-transformers model" in missing
    (tmp_path / "sentence_transformers.py").write_text("raise ImportError('hidden')\n")
    hidden = {"PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])}
    assert "pip install -r requirements-teacher.txt" in refused(command("train.py", *words, **hidden))
