import pytest
from hydra import initialize_config_dir
from hydra._internal.hydra import Hydra
from hydra.core.global_hydra import GlobalHydra

from askagain.apps import run_mode
from askagain.apps.command_line import CONFIGS
from askagain.apps.run_mode import find_mode_quickly

OWN_WAY = Hydra.get_mode


@pytest.fixture(autouse=True)
def restored(monkeypatch):
    monkeypatch.setattr(Hydra, "get_mode", OWN_WAY)


@pytest.mark.parametrize("config", ["train", "evaluate"])
@pytest.mark.parametrize("words", [[], ["-m"], ["hydra.run.dir=somewhere", "hydra.job.chdir=false"]])
def test_it_is_what_hydra_finds(config, words):
    overrides = [word for word in words if word != "-m"]
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        hydra = GlobalHydra.instance().hydra
        expected = hydra.get_mode(config, overrides)
        find_mode_quickly(words)
        assert Hydra.get_mode is not OWN_WAY
        assert hydra.get_mode(config_name=config, overrides=overrides) == expected


@pytest.mark.parametrize(
    "word",
    [
        *("hydra.mode=MULTIRUN", "+hydra={mode: RUN}", "hydra.searchpath=[file:///configs]", "hydra/sweeper=own"),
        *("-cd=own", "-cd", "--config-d=own", "--config-path"),
    ],
)
def test_hydra_reads_a_mode_that_words_could_set(word):
    find_mode_quickly(["experiment=dssm", word])
    assert Hydra.get_mode is OWN_WAY


@pytest.mark.parametrize(
    "config",
    [
        "hydra:\n  mode: MULTIRUN",
        "hydra: {'mode': 2}",
        "# @package hydra\nmode: ${oc.env:MODE}",
        "hydra:\n  mode:\n    MULTIRUN",
        "hydra:\n  ? mode\n  : MULTIRUN",
        "hydra:\n  searchpath: [file:///configs]",
    ],
)
def test_hydra_reads_a_mode_that_configs_could_set(config, tmp_path, monkeypatch):
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "own.yaml").write_text(f"{config}\n")
    monkeypatch.setattr(run_mode, "CONFIGS", tmp_path)
    find_mode_quickly([])
    assert Hydra.get_mode is OWN_WAY


def test_hydra_reads_the_mode_where_a_config_cannot_be_read(tmp_path, monkeypatch):
    monkeypatch.setattr(run_mode, "CONFIGS", tmp_path)
    (tmp_path / ".#train.yaml").symlink_to(tmp_path / "an editor's lock")
    find_mode_quickly([])
    assert Hydra.get_mode is OWN_WAY
