"""The words of a command, put in order, and what those that it cannot use are answered by."""

import pytest

from askagain.apps.command_line import explained, ordered
from askagain.errors import InputError
from tests.conftest import ROOT

TRAIN = ROOT / "train.py"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["a=1", "-m", "b=2,3"], ["-m", "a=1", "b=2,3"]),
        (["a=1", "--cfg", "job", "b=2"], ["--cfg", "job", "a=1", "b=2"]),
        (["a=1", "--config-name=mine", "--resolve"], ["--config-name=mine", "--resolve", "a=1"]),
        (["a=-1", "~b", "+c=2"], ["a=-1", "~b", "+c=2"]),
    ],
)
def test_options_may_stand_anywhere(words, expected):
    assert ordered(words) == expected


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--experiment", "dssm"], "settings are typed without dashes, experiment=dssm$"),
        (["--experiment=dssm"], "settings are typed without dashes, experiment=dssm$"),
        (["--seed"], "settings are typed without dashes, seed=VALUE$"),
        (["--multi-run"], "did you mean --multirun"),
    ],
)
def test_an_option_that_there_is_not_is_answered_by_the_setting(words, message):
    with pytest.raises(InputError, match=message):
        ordered(words)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["adam"], "adam: a setting is typed KEY=VALUE; did you mean optimizer=adam?"),
        (["nothing-like-it"], "nothing-like-it: a setting is typed KEY=VALUE"),
        (["-m", "experiment=dssm,distil"], "experiment=distil: no such config; did you mean experiment=distill?"),
        (
            ["-m", "experiment=dssm,distill", "optimizer.lrr=1"],
            "optimizer.lrr: no such setting; did you mean optimizer.lr?",
        ),
        (["experiment=distill", "teacher.modle=x"], "teacher.modle: no such setting; there are batch_size, folder"),
        (["words.lr=1"], "words.lr: no such setting; did you mean optimizer.lr?"),
        (["seed=0,1"], "seed=0,1: add -m to sweep over several values; a list is typed seed=[0,1]"),
        (["seeed=1"], "seeed: no such setting; did you mean seed?"),
        (
            ["experiment=word_vectors", "trainer=default"],
            "the config of experiment=word_vectors has no use for trainer",
        ),
        (["model.dim=8"], None),
        (["--config-name", "mine", "model.dmi=8"], None),
    ],
)
def test_a_word_that_cannot_be_used_is_answered_by_one_that_can(words, message):
    explanation = explained(TRAIN, words)
    assert explanation == message or (message is not None and message in str(explanation))
