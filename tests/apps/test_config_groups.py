from hydra import initialize_config_dir
from hydra._internal.hydra import Hydra
from hydra.core.global_hydra import GlobalHydra

from askagain.apps.command_line import CONFIGS
from askagain.apps.config_groups import format_groups, list_groups_quickly


def is_own(group: str) -> bool:
    return not group.startswith("hydra")


def test_the_groups_are_those_that_hydra_lists():
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        hydra = GlobalHydra.instance().hydra
        assert format_groups(hydra, is_own) == hydra.format_config_groups(is_own)


def test_other_configs_and_hydras_own_are_listed_by_hydra(monkeypatch):
    own_way = Hydra.format_config_groups
    monkeypatch.setattr(Hydra, "format_config_groups", own_way)  # restored at the end
    for words in (["--help", "--config-dir=mine"], ["--hydra-help"]):
        list_groups_quickly(words)
        assert Hydra.format_config_groups is own_way
    list_groups_quickly(["--help"])
    assert Hydra.format_config_groups is format_groups
