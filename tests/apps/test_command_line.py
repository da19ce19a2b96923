"""The words of a command, put in order, and what those that it cannot use are answered by."""

import pytest
from hydra import compose, initialize_config_dir
from hydra.errors import HydraException

from askagain.apps.command_line import explained, ordered
from askagain.errors import InputError
from tests.conftest import ROOT


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
        (["adam"], "adam: a setting is typed KEY=VALUE; did you mean optimizer=adam[?]"),
        (["dssm"], "dssm: a setting is typed KEY=VALUE; did you mean experiment=dssm[?]"),
        (["nothing-like-it"], "nothing-like-it: a setting is typed KEY=VALUE$"),
        (["trainer.gpus=2"], "type trainer.accelerator=gpu trainer.devices=2$"),
        (["logger=null"], "choose a config of it, such as logger=none$"),
    ],
)
def test_a_word_that_is_no_override_is_answered_by_one(words, message):
    with pytest.raises(InputError, match=message):
        ordered(words)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["experiment=distil"], "experiment=distil: no such config; did you mean experiment=distill?"),
        (["experiment=mine"], "experiment=mine: no such config; there are distill, dssm, trigram"),
        (["data=/my/folder"], "data=/my/folder: this is a folder; type data=tsv data.dir=/my/folder"),
        (["hydra/sweeper=other"], "pip install -r requirements-sweeps.txt"),
        (["optimizer.lrr=1"], "optimizer.lrr: no such setting; did you mean optimizer.lr?"),
        (["experiment=distill", "teacher.modle=x"], "teacher.modle: no such setting; there are batch_size, folder"),
        (["words.lr=1"], "words: no such setting; there are baseline, callbacks, "),
        (["seed=0,1"], "3. To sweep over it, add --multirun to your command line"),
        (["seeed=1"], "seeed: no such setting; did you mean seed?"),
        (
            ["experiment=word_vectors", "trainer=default"],
            "Could not override 'trainer'. No match in the defaults list.",
        ),
    ],
)
def test_a_setting_that_is_not_there_is_answered_by_the_nearest_one(words, message):
    with initialize_config_dir(str(ROOT / "configs"), version_base="1.3"), pytest.raises(HydraException) as refused:
        compose("train", words, return_hydra_config=True)
    assert message in str(explained(refused.value))
