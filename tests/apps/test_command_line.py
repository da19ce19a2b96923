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
        (["~callbacks.hard_negatives", "~trainer.profiler"], ["~callbacks.hard_negatives", "~trainer.profiler"]),
        (["a=-1", "~logger", "+c=2"], ["a=-1", "~logger", "+c=2"]),
    ],
)
def test_options_may_stand_anywhere(words, expected):
    assert ordered(words) == expected


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("name=2024", "name='2024'"),
        ("name=2026_11_26", "name='2026_11_26'"),
        ("name=1e3", "name='1e3'"),
        ("name=true", "name='true'"),
        ("name=nan", "name='nan'"),
        ("name=exp/a", "name=exp/a"),
        ("name=null", "name=null"),
        ("name='5'", "name='5'"),
        ("tags=[2024,a,1e3]", "tags=['2024',a,'1e3']"),
        ("data.dir=2024_01", "data.dir='2024_01'"),
        ("ckpt_path=007", "ckpt_path='007'"),
        ("+logger.wandb.group=7", "logger.wandb.group='7'"),
        ("name=дубликат", "name='дубликат'"),
        ("seed=2024", "seed=2024"),
        ("optimizer.lr=1e3", "optimizer.lr=1e3"),
    ],
)
def test_names_that_look_like_numbers_are_text(word, expected):
    assert ordered([word])[0].lstrip("+") == expected


def test_the_home_is_meant_by_a_tilde(monkeypatch):
    monkeypatch.setenv("HOME", "/home/one of us")
    assert ordered(["encoder.path=~/run", "seed=1"]) == ["encoder.path=/home/one of us/run", "seed=1"]


def test_the_values_of_a_sweep_over_names_are_text():
    assert ordered(["-m", "name=1,2,x"]) == ["-m", "name='1','2',x"]


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("name=a=b", "name=a=b: this value needs quotes; type \"name='a=b'\""),
        (
            "data.dir=/a,b",
            "data.dir=/a,b: several values are a sweep, which needs -m; for one value with a comma type "
            "\"data.dir='/a,b'\"",
        ),
        ("name=a!=b", "type 'name="),
    ],
)
def test_a_value_that_needs_quotes_is_shown_with_them(word, message):
    with pytest.raises(InputError) as caught:
        ordered([word])
    assert message in str(caught.value)
    assert ordered([f"name='{word}'"])


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
        (["~ks"], "~ks: ks cannot be left out; type ks=VALUE to change it$"),
        (["~model.dim=3"], "model.dim cannot be left out; type model.dim=VALUE"),
        (["~trainer"], "trainer cannot be left out"),
        (["~trainer.precision"], "trainer.precision cannot be left out"),
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
        (["experiment=mine"], "experiment=mine: no such config; there are base, distill, dssm, finetune, trigram"),
        (["data=/my/folder"], "data=/my/folder: this is a folder; type data=tsv data.dir=/my/folder"),
        (["hydra/sweeper=other"], "pip install -r requirements-sweeps.txt"),
        (["optimizer.lrr=1"], "optimizer.lrr: no such setting; did you mean optimizer.lr?"),
        (["experiment=distill", "teacher.modle=x"], "teacher.modle: no such setting; there are batch_size, folder"),
        (["words.lr=1"], "words: no such setting; there are baseline_preprocessors, baselines, callbacks, "),
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


def test_a_word_that_the_locale_cannot_read_is_named():
    with pytest.raises(InputError, match=r"name=[?]+: not UTF-8, or not readable in this locale; set PYTHONUTF8=1"):
        ordered(["name=\udcd0\udcb4"])
