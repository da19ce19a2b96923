"""Checks README.md, CONTRIBUTING.md and docs/: every command that they show composes, every setting and file exists.

`python scripts/check_docs.py` checks all pages, with words those files alone. Nothing is trained or installed. Commands
are composed in an empty folder that has what their placeholders stand for: DIR, RUN, FILE, ENVIRONMENT.
"""

import ast
import re
import shlex
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import chdir, contextmanager
from functools import cache
from itertools import takewhile
from pathlib import Path

import click
from config_comments import CONFIGS, ROOT
from config_reference import PAGE, Reference
from hydra import compose, initialize_config_dir
from hydra._internal.utils import get_args_parser
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

import askagain.apps.command  # what a command knows before it reads its configs
import askagain.cli.main
from askagain.apps.checks import check_before_run
from askagain.apps.command_line import explained, ordered
from askagain.errors import InputError

BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\]\(([^)#\s]+)[^)]*\)")
FILE = re.compile(r"scripts/|requirements|(train|evaluate)\.py$")
SETTING = re.compile(r"'?[+~]{0,2}([a-z][\w@./]*)=([^()]*)")
REDIRECTIONS = (">", ">>", "<", "|")
CHOICE = re.compile(r"[a-z]\w*")  # no placeholder
# What scripts do with the words after them: the config that these are overrides of, and the first of them.
OVERRIDES_OF = {
    "scripts/quickstart.sh": ("train", 0),
    "scripts/torchrun.sh": ("train", 2),
    "scripts/slurm.sbatch": ("train", 0),
}

Place = tuple[int, str]  # where in a text, and what is wrong there


def main(words: Sequence[str]) -> int:
    """Prints what is wrong, a line each; returns the exit status."""
    paths = [Path(word).resolve() for word in words] or pages()
    found = [line for path in paths for line in mistakes(path)]
    print("\n".join(found) if found else f"{len(paths)} pages are in order")
    return 1 if found else 0


def pages() -> list[Path]:
    """The pages that people write."""
    written = (path for path in sorted((ROOT / "docs").rglob("*.md")) if path != PAGE)
    return [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *written]


def mistakes(path: Path) -> Iterator[str]:
    """What is wrong on a page, each with its file and line."""
    text = path.read_text(encoding="utf-8")
    places = [*_in_blocks(text), *_in_settings(text), *_in_links(text, path.parent)]
    for place, message in sorted(places):
        yield f"{path.relative_to(ROOT)}:{text.count(chr(10), 0, place) + 1}: {message}"


def _in_blocks(text: str) -> Iterator[Place]:
    for block in BLOCK.finditer(text):
        if block[1] == "python":
            try:
                ast.parse(block[2])
            except SyntaxError as error:
                yield block.start(), f"Python: {error}"
        if block[1] == "bash":
            joined = block[2].replace("\\\n", "")
            for line in joined.splitlines():
                message = refusal(line)
                if message is not None:
                    yield block.start(2) + max(0, block[2].find(line[:60])), f"{line}: {message}"


def refusal(line: str) -> str | None:
    """What is wrong with a line of shell; None where all is well."""
    words = [word for word in shlex.split(line, comments=True) if word != "..."]
    words = list(takewhile(lambda word: word not in REDIRECTIONS, words))
    while words and re.match(r"[A-Z_]+=", words[0]):  # settings of the environment
        words = words[1:]
    if "&&" in words:
        place = words.index("&&")
        return refusal(shlex.join(words[:place])) or refusal(shlex.join(words[place + 1 :]))
    if words[:1] == ["askagain"]:
        return not_parsed(tuple(words[1:]))
    files = [
        word for word in words if word.startswith(("scripts/", "requirements")) or word in ("train.py", "evaluate.py")
    ]
    absent = [file for file in files if not (ROOT / file).is_file()]
    if absent:
        return f"no file {absent[0]}"
    for place, word in enumerate(words[:2]):
        config, skipped = OVERRIDES_OF.get(word, (Path(word).stem, 0))
        if word in OVERRIDES_OF or (word.endswith(".py") and (CONFIGS / f"{config}.yaml").is_file()):
            return not_composed(config, tuple(words[place + 1 + skipped :]))
    return None


@cache
def not_parsed(words: tuple[str, ...]) -> str | None:
    """What a verb of the console script says to its words, without running; None where it would run."""
    command: click.Command = askagain.cli.main.askagain
    rest = list(words)
    try:
        while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
            with click.Context(command) as context:
                _, command, rest = command.resolve_command(context, rest)  # type: ignore[assignment]
        if "--help" not in rest:
            command.make_context(command.name, rest)
    except click.ClickException as error:
        return error.format_message()
    return None


@cache
def not_composed(config: str, words: tuple[str, ...]) -> str | None:
    """What the command with this config says to the words, without running; None where it would run."""
    try:
        typed = get_args_parser().parse_args(ordered(words))
        if typed.help:
            return None
        overrides = [_first_of_sweep(override) for override in typed.overrides]
        with _placeholders(), initialize_config_dir(str(CONFIGS), version_base="1.3"):
            check_before_run(compose(config, overrides, return_hydra_config=True))
    except (InputError, HydraException) as error:
        return explained(error) or str(error).splitlines()[0]
    return None


def _first_of_sweep(word: str) -> str:
    """An override as the first run of a sweep has it."""
    (override,) = OverridesParser.create().parse_overrides([word])
    if not override.is_sweep_override():
        return word
    return f"{override.key_or_group}={next(iter(override.sweep_string_iterator()))}"


@contextmanager
def _placeholders() -> Iterator[None]:
    """A folder to work in that has what placeholders stand for."""
    with tempfile.TemporaryDirectory() as name, chdir(name):
        for folder in ("DIR", "RUN", "ENVIRONMENT/bin"):
            Path(folder).mkdir(parents=True)
        for file in ("FILE", "ENVIRONMENT/bin/python"):
            Path(file).touch()
        yield


def _in_settings(text: str) -> Iterator[Place]:
    """Settings in the running text whose key or choice no config has."""
    prose = BLOCK.sub(lambda block: re.sub(r"\S", " ", block[0]), text)
    for code in CODE.finditer(prose):
        for word in code[1].replace("\\|", "|").split():
            setting = SETTING.fullmatch(word)
            if setting is not None and not setting[1].startswith("hydra."):
                message = _no_setting(setting[1], setting[2])
                if message is not None:
                    yield code.start(), f"{word}: {message}"


def _no_setting(key: str, value: str) -> str | None:
    reference = _reference()
    choices = reference.groups.get(key.partition("@")[0])
    if choices is None:
        is_own = key.startswith(("metrics.", "callbacks."))
        return None if key in reference.keys or is_own else "no config has this key"
    absent = [one for one in value.split("|") if CHOICE.fullmatch(one) and one not in (*choices, "mine", "null")]
    return f"the group has no {absent[0]}" if absent else None


@cache
def _reference() -> Reference:
    return Reference()


def _in_links(text: str, folder: Path) -> Iterator[Place]:
    """Links to files that are not there; `mkdocs build --strict` checks those within docs/ once more."""
    for link in LINK.finditer(text):
        if "://" not in link[1] and not (folder / link[1]).exists():
            yield link.start(), f"no file {link[1]}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
