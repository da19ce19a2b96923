"""What the README and the pages of the site say is still so."""

import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def script(monkeypatch):
    """Imports a script by its name."""
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    return importlib.import_module


def test_the_reference_says_what_the_configs_say(script):
    reference = script("config_reference")
    assert reference.PAGE.read_text(encoding="utf-8") == reference.Reference().page(), (
        "python scripts/config_reference.py"
    )


def test_a_comment_or_a_docstring_says_what_every_key_means(script):
    assert script("config_reference").Reference().undocumented() == []


@pytest.mark.slow
def test_commands_and_settings_of_all_pages_are_in_order(script):
    checks = script("check_docs")
    assert not [line for path in checks.pages() for line in checks.mistakes(path)]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("python train.py optimizer.rate=1", "optimizer.rate: no such setting"),
        ("python train.py -m experiment=dssm loss.temperature=0.05,hot", None),  # a sweep's first run is composed
        ("python train.py loss.temperature=hot", "must be a number"),
        ("python scripts/leaderboard.py board=none", "board=none: no such config"),
        ("python scripts/nothing.py", "no file scripts/nothing.py"),
        ("bash scripts/torchrun.sh 2 ADDRESS experiment=dssm data=cvs ...", "data=cvs: no such config"),
        ("pip install -r requirements-none.txt", "no file requirements-none.txt"),
        (
            "A=1 python evaluate.py encoder.path=RUN && python evaluate.py ranker=bm26  # both",
            "did you mean ranker=bm25",
        ),
        ("source .venv/bin/activate", None),
        ("askagain search INDEX QUESTION -k 3 --json > answers.jsonl", None),
        ("askagain serch INDEX QUESTION", "No such command"),
        ("askagain duplicates FILE --threshhold 1 -o OUT", "No such option"),
        ("askagain index FILE -o OUT  # no encoder", "Missing option"),
    ],
)
def test_a_command_that_would_not_run_is_found(script, line, message):
    found = script("check_docs").refusal(line)
    assert found is None if message is None else message in found


def test_a_setting_that_no_config_has_is_found(script):
    checks = script("check_docs")
    text = "Type `loss=nt_xent|cosine`, `loss.temprature=` or `loss.temperature=`; `preprocessor=mine` is yours.\n"
    assert [message for _, message in checks._in_settings(text)] == [
        "loss=nt_xent|cosine: the group has no cosine",
        "loss.temprature=: no config has this key",
    ]


def test_what_a_comment_says_of_a_key_is_in_the_reference(script, tmp_path, monkeypatch):
    comments = script("config_comments")
    monkeypatch.setattr(comments, "CONFIGS", tmp_path)
    file = tmp_path / "model" / "small.yaml"
    file.parent.mkdir()
    file.write_text(
        "# A model\n# of two lines.\ndefaults:\n  - base   # whose keys it has\n_target_: my.Model\ndim: 8   # of a"
        " vector,\n         # in numbers\nname: 'a # b'\npart:    # of it\n  lr: 0.1\n# Rarely needed.\neps: 0\n"
    )
    config = comments.Reader(file).read()
    assert (config.about, config.makes, config.bases) == ("A model of two lines.", "my.Model", [("base", "")])
    assert [one if isinstance(one, str) else (one.key, one.default, one.meaning) for one in config.settings] == [
        ("model.dim", "8", "of a vector, in numbers"),
        ("model.name", "'a # b'", ""),
        ("model.part", None, "of it"),
        ("model.part.lr", "0.1", ""),
        "Rarely needed.",
        ("model.eps", "0", ""),
    ]
