"""evaluate.py as a user types it."""

import pytest

from tests.end_to_end.conftest import QUICK, metrics_of, succeeded


@pytest.fixture
def trained(command, small):
    return succeeded(command("train.py", "experiment=dssm", "data=tsv", f"data.dir={small}", *QUICK, "name=trained"))


def figures(run, prefix):
    return {
        name: value
        for name, value in metrics_of(run).items()
        if name.startswith(prefix) and not name.endswith(("seconds", "loss"))
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


def test_ties_and_ks_are_settings(command, small, trained):
    words = ("evaluate.py", f"encoder.path={trained}", "data=tsv", f"data.dir={small}", "ks=[2,3]")
    expected, pessimistic = (
        metrics_of(succeeded(command(*words, f"ties={ties}", f"name={ties}"))) for ties in ("expected", "pessimistic")
    )
    assert set(expected) == {"val/hits@2", "val/hits@3", "val/mrr", "val/ties", "val/seconds"}
    assert pessimistic["val/mrr"] <= expected["val/mrr"]
