import subprocess
import sys
from importlib.metadata import Distribution

import pytest

from scripts import licences
from tests.conftest import ROOT


def test_the_script_lists_what_is_depended_on_with_its_licence():
    answer = subprocess.run(
        [sys.executable, "scripts/licences.py"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    (torch,) = [line for line in answer.stdout.splitlines() if line.startswith("│ torch ")]
    assert "BSD" in torch


class Stated(Distribution):
    """A package that states these requirements."""

    def __init__(self, requires):
        self.lines = requires

    requires = property(lambda self: self.lines)
    read_text = locate_file = None


def test_requirements_of_extras_and_other_systems_are_left_out_and_names_are_alike(monkeypatch):
    packages = {
        "askagain": Stated(
            ["Some_Thing[fast]>=1;python_version>'3'", "other; extra=='x'", "win ; sys_platform == 'none'"]
        ),
        "some-thing": Stated([]),
    }
    monkeypatch.setattr(licences, "distribution", packages.__getitem__)
    assert licences.dependencies().keys() == {"some-thing"}


@pytest.fixture(autouse=True)
def wide(monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
