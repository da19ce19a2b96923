"""What a config section that cannot be built is answered by."""

from inspect import signature

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from askagain.apps.build import build
from askagain.apps.command_line import CONFIGS
from askagain.errors import InputError
from askagain.training.data.duplicates import DuplicatesDataModule


class Parent:
    def __init__(self, size: int, rate: float = 0.5) -> None:
        if size < 1:
            raise InputError(f"size={size}: must be at least 1")
        self.size = size
        self.rate = rate


class Child(Parent):
    def __init__(self, *, name: str, **settings) -> None:
        super().__init__(**settings)
        self.name = name


def section(target="Child", **settings):
    return OmegaConf.create({"model": {"_target_": f"{__name__}.{target}", **settings}})


def test_settings_are_passed_on_to_the_parent_class():
    made = build(section(_partial_=True, name="a", size=3), "model")()
    assert (made.name, made.size, made.rate) == ("a", 3, 0.5)


def test_a_parameter_that_an_object_refuses_is_named_with_its_section():
    with pytest.raises(InputError, match=r"^model\.size=0: must be at least 1"):
        build(section(name="a", size=0), "model")


def test_a_setting_that_a_class_of_your_own_does_not_take_is_named():
    with pytest.raises(InputError, match=r"^model: got an unexpected keyword argument 'szie'"):
        build(section("Parent", _partial_=True, szie=3), "model")


def test_a_target_that_cannot_be_imported_is_named():
    with pytest.raises(InputError, match=f"^model._target_={__name__}.Chidl: cannot be imported"):
        build(section("Chidl"), "model")


def test_a_datamodule_has_the_defaults_of_the_configs():
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        settings = compose("train", ["experiment=dssm"]).datamodule
    parameters = signature(DuplicatesDataModule).parameters
    defaults = {name: one.default for name, one in parameters.items() if one.default is not one.empty}
    assert settings.batch_size == "auto" and defaults.pop("batch_size") == 512  # a module alone has no rule to follow
    assert settings.start.name == "base" and defaults.pop("start") is None  # nor anything that was built
    assert defaults and defaults == {name: settings[name] for name in defaults}
