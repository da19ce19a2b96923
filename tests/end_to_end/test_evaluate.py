"""evaluate.py as a user types it."""

import numpy as np
import pytest

import askagain
from tests.end_to_end.conftest import QUICK, metrics_of, refused, succeeded


@pytest.fixture
def trained(command, small):
    return succeeded(command("train.py", "experiment=dssm", "data=tsv", f"data.dir={small}", *QUICK, "name=trained"))


def figures(run, prefix):
    return {
        name: value
        for name, value in metrics_of(run).items()
        if name.startswith(prefix) and not name.endswith(("seconds", "loss", "_low", "_high"))
    }


def test_a_trained_encoder_gets_the_figures_that_training_reported(command, small, trained):
    words = ("evaluate.py", "encoder=checkpoint", "data=tsv", f"data.dir={small}")
    result = command(*words, f"encoder.path={trained}", "data.split=validation")
    run = succeeded(result)
    assert "hits@100" in result.stdout and "mrr" in result.stdout
    assert figures(run, "val/") == figures(trained, "val/")
    assert run != trained
    run = succeeded(command(*words, f"encoder.path={trained}/encoder", "data.split=test", "name=other"))
    assert figures(run, "test/") == figures(trained, "test/")


def test_a_checkpoint_file_is_evaluated_with_its_own_weights(command, small, trained):
    words = ("evaluate.py", "data=tsv", f"data.dir={small}", f"encoder.path={trained}/checkpoints/last.ckpt")
    assert figures(succeeded(command(*words)), "val/") == figures(trained, "val/")


def test_ties_and_ks_are_settings_and_figures_stand_between_the_ends_of_their_intervals(command, small, trained):
    words = ("evaluate.py", f"encoder.path={trained}", "data=tsv", f"data.dir={small}", "ks=[2,3]")
    results = {ties: command(*words, f"ties={ties}", f"name={ties}") for ties in ("expected", "pessimistic")}
    found, pessimistic = (metrics_of(succeeded(result)) for result in results.values())
    means = ["val/hits@2", "val/hits@3", "val/dcg@2", "val/dcg@3", "val/mrr", "val/mean_rank"]
    ends = [f"{name}{end}" for name in means for end in ("_low", "_high")]
    assert set(found) == {*means, *ends, "val/median_rank", "val/ties", "val/seconds"}
    assert pessimistic["val/mrr"] <= found["val/mrr"]
    assert 0 < found["val/mrr_low"] < found["val/mrr"] < found["val/mrr_high"] < 1
    lines = [line.split("\t") for line in (succeeded(results["expected"]) / "worst.tsv").read_text().splitlines()]
    rows = [dict(zip(lines[0], line, strict=True)) for line in lines[1:]]
    ranks = [float(row["rank"]) for row in rows if row["what"] == "duplicate"]
    assert ranks == sorted(ranks, reverse=True) and ranks[-1] > 1 and len(ranks) <= 20
    assert all(row["carried by"] for row in rows if float(row["score"]) > 0.5)
    encoder = askagain.load(trained)
    questions, texts = (encoder.encode([row[name] for row in rows]) for name in ("question", "text"))
    lengths = np.linalg.norm(questions, axis=1) * np.linalg.norm(texts, axis=1)
    cosines = (questions * texts).sum(axis=1) / np.maximum(lengths, 1e-12)
    assert [float(row["score"]) for row in rows] == pytest.approx(cosines, abs=1e-4)
    shown = f"{found['val/mrr']:.4f} ({found['val/mrr_low']:.4f} to {found['val/mrr_high']:.4f})"
    assert shown in results["expected"].stdout


@pytest.mark.slow
def test_rankers_that_count_terms_are_far_better_than_chance(command, small, tmp_path):
    words = ("ranker=tfidf,tfidf_letters,bm25", "candidate_set=all,listed", "data=tsv", f"data.dir={small}", "ks=[1]")
    result = command("evaluate.py", "-m", *words, f"hydra.sweep.dir={tmp_path / 'sweep'}")
    assert result.returncode == 0, result.stderr
    found = [metrics_of(tmp_path / "sweep" / str(run)) for run in range(6)]
    for among_all, listed in zip(found[::2], found[1::2], strict=True):
        assert listed["val/mrr"] > 0.3  # chance, among 61 candidates, is 0.08
        assert 0.02 < among_all["val/all/map"] <= among_all["val/all/mrr"] < listed["val/mrr"]
    assert len({listed["val/mrr"] for listed in found[1::2]}) == 3


@pytest.mark.slow
def test_texts_of_other_sites_are_refused(command, small):
    words = ("ranker=bm25", "data=tsv", f"data.dir={small}", f"data.further_texts=[{small / 'corpus.txt'}]")
    assert "data.further_texts: only distillation learns" in refused(command("evaluate.py", *words))


def test_random_vectors_are_as_good_as_chance(command, small):
    found = metrics_of(succeeded(command("evaluate.py", "encoder=random", "data=tsv", f"data.dir={small}")))
    assert found["val/mean_rank_low"] < 31 < found["val/mean_rank_high"]  # of 61 candidates


@pytest.mark.slow
def test_groups_of_a_file_are_ranked_among_all_texts(command, small):
    words = (
        "evaluate.py",
        "ranker=bm25",
        "data=tsv",
        f"data.dir={small}",
        "candidate_set=all",
        "candidate_set.files=[train]",
    )
    result = command(*words, f"candidate_set.groups={small / 'train.tsv'}", "metric.name=map")
    groups = [line.split("\t") for line in (small / "train.tsv").read_text().splitlines()]
    assert f"{len({text for group in groups for text in group}):,} texts" in result.stdout
    found = metrics_of(succeeded(result))
    assert found["groups/all/map_low"] < found["groups/all/map"] < found["groups/all/mrr"]
