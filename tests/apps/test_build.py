"""What a config section may say of the object that it builds."""

import pytest
from omegaconf import OmegaConf

from askagain.apps.build import build
from askagain.errors import InputError


class Parent:
    def __init__(self, size: int, rate: float = 0.5) -> None:
        self.size = size
        self.rate = rate


class Child(Parent):
    def __init__(self, *, name: str, **settings) -> None:
        super().__init__(**settings)
        self.name = name


def section(**settings):
    return OmegaConf.create({"model": {"_target_": f"{__name__}.Child", "_partial_": True, **settings}})


def test_settings_are_passed_on_to_the_parent_class():
    made = build(section(name="a", size=3), "model")()
    assert (made.name, made.size, made.rate) == ("a", 3, 0.5)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"name": "a", "size": "x"}, "model.size=x: must be a whole number"),
        ({"name": 1, "size": 3}, "model.name=1: must be text"),
        ({"name": "a", "size": 3, "szie": 4}, "unexpected setting 'szie'"),
    ],
)
def test_a_setting_that_the_parent_class_would_not_take_is_named(settings, message):
    with pytest.raises(InputError, match=message):
        build(section(**settings), "model")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"size": "x"}, r"^part\.size=x: must be a whole number"),
        ({"size": 3, "szie": 4}, "^part: got an unexpected setting 'szie'"),
    ],
)
def test_a_mistake_in_a_section_that_is_passed_on_is_named_as_it_was_typed(settings, message):
    part = {"_target_": f"{__name__}.Parent", **settings}
    config = {"part": part, "whole": {"_target_": f"{__name__}.Child", "name": "${part}", "size": 3}}
    with pytest.raises(InputError, match=message):
        build(OmegaConf.create(config), "whole")


def test_a_value_that_is_passed_on_is_named_as_it_was_typed():
    config = {"data": {"size": "x"}, "model": {"_target_": f"{__name__}.Parent", "size": "${data.size}"}}
    with pytest.raises(InputError, match=r"^data\.size=x: must be a whole number"):
        build(OmegaConf.create(config), "model")
