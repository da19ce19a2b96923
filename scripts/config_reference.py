"""Writes docs/config-reference.md, every group, choice and key of configs/, from the files and their comments.

`python scripts/config_reference.py` writes the page; with `--check` it only says whether the page is up to date.
"""

import ast
import re
import sys
from collections.abc import Iterator, Sequence
from functools import cached_property

from config_comments import CONFIGS, ROOT, Config, Reader, Setting

SOURCE, PAGE = ROOT / "src", ROOT / "docs" / "config-reference.md"
SWEPT = "hydra.sweeper.params."
INTRODUCTION = """# Every setting

This page is made from the files in `configs/` by `python scripts/config_reference.py`.

Type `GROUP=CHOICE` to choose a file, and `KEY=VALUE` to set one value. `???` stands for a value that you have to type,
`null` for none, and `${KEY}` for the value of another key. `--cfg job` shows what a command line comes to, without
running it.
"""


class Reference:
    """All files of configs/, and the page that is made of them."""

    def __init__(self) -> None:
        paths = sorted(path for path in CONFIGS.rglob("*.yaml") if "local" not in path.relative_to(CONFIGS).parts)
        configs = [Reader(path).read() for path in paths]
        self.commands = [config for config in configs if not config.group]
        self.commands.sort(key=lambda config: (config.title.startswith("scripts/"), config.title == "evaluate.py"))
        self.groups: dict[str, dict[str, Config]] = {}
        for config in configs:
            if config.group:
                self.groups.setdefault(config.group, {})[config.name] = config

    @cached_property
    def keys(self) -> set[str]:
        """All keys that can be typed, and all sections."""
        keys = {setting.key for config in self._configs() for setting in self._all_settings(config)}
        return keys | {".".join(key.split(".")[:count]) for key in keys for count in range(1, key.count(".") + 1)}

    def page(self) -> str:
        """The page, in Markdown."""
        parts = [INTRODUCTION, "## Commands\n"]
        for config in self.commands:
            parts += self._of(config)
        for group, choices in self.groups.items():
            parts.append(f"## {group} {{ #{group.replace('/', '-')} }}\n")
            parts.append(self._where_chosen(group))
            for config in choices.values():
                parts += self._of(config)
        return "\n".join(part for part in parts if part)

    def undocumented(self) -> list[str]:
        """The keys of which no comment and no docstring says what they are."""
        return [
            setting.key
            for config in self._configs()
            for setting in config.settings
            if isinstance(setting, Setting) and not self._meaning(config, setting)
        ]

    def _configs(self) -> Iterator[Config]:
        yield from self.commands
        for choices in self.groups.values():
            yield from choices.values()

    def _all_settings(self, config: Config) -> Iterator[Setting]:
        """The settings of a config and those that it has of its bases."""
        yield from (setting for setting in config.settings if isinstance(setting, Setting))
        for base, section in config.bases:
            for setting in self._all_settings(self._config(config.group, base)):
                key = setting.key
                if section:
                    key = key.replace(config.group, f"{config.group}.{section}", 1)
                yield Setting(key, setting.default, setting.meaning, setting.takes)

    def _config(self, group: str, name: str) -> Config:
        return self.groups[group][name] if group else next(one for one in self.commands if one.name == name)

    def _where_chosen(self, group: str) -> str:
        by_choice: dict[str, list[str]] = {}
        for config in self._configs():
            for chosen, choice, _ in config.chosen:
                if chosen == group and choice != "null" and not config.group.startswith("hydra"):
                    by_choice.setdefault(choice, []).append(f"`{config.title}`")
        defaults = "; ".join(f"`{choice}` with {', '.join(where)}" for choice, where in by_choice.items())
        typed = f"Typed as `{group}=CHOICE`."
        return f"{typed} The default is {defaults}.\n" if defaults else f"{typed} None is chosen by default.\n"

    def _of(self, config: Config) -> Iterator[str]:
        yield f"### {config.title} {{ #{config.anchor} }}\n"
        if config.about:
            yield f"{_text(config.about)}\n"
        yield self._on_bases(config)
        if config.chosen:
            rows = [(self._choice(group, choice), _text(comment)) for group, choice, comment in config.chosen]
            has_comments = any(comment for _, comment in rows)
            yield _table(["chooses", ""], rows) if has_comments else f"Chooses {', '.join(cell for cell, _ in rows)}.\n"
        if config.makes:
            yield f"Makes {_made(config.makes)}.\n"
        if config.settings:
            yield _table(["key", "default", "meaning"], [self._row(config, setting) for setting in config.settings])
        if config.entries:
            yield _table(["name", "command"], [(name, _code(command)) for name, command in config.entries])

    def _on_bases(self, config: Config) -> str:
        """Which keys a config has of other files, in words."""
        whole, parts = [], []
        for base, section in config.bases:
            file = self._config(config.group, base)
            link = f"[`{file.title}`](#{file.anchor})"
            if section:
                parts.append(f"The keys of {link} stand below `{config.group}.{section}`.\n")
            else:
                whole.append(link)
        if whole:
            changes = bool(config.settings or config.chosen or config.makes)
            parts.insert(0, f"As {' and '.join(whole)}{', with:' if changes else '.'}\n")
        return "\n".join(parts)

    def _choice(self, group: str, choice: str) -> str:
        config = self.groups.get(group.partition("@")[0], {}).get(choice)
        return f"`{group}={choice}`" if config is None else f"[`{group}={choice}`](#{config.anchor})"

    def _row(self, config: Config, setting: Setting | str) -> Sequence[str]:
        if isinstance(setting, str):
            return "", "", f"*{_text(setting)}*"
        default = "" if setting.default is None else _code(setting.default)
        return _code(setting.key), default, _text(self._meaning(config, setting))

    def _meaning(self, config: Config, setting: Setting) -> str:
        """What the comment says, or what follows from the default, or what is said elsewhere of the key."""
        passed = re.fullmatch(r"\$\{(?:oc\.select:)?([\w.]+)(?:,\w+)?\}", setting.default or "")
        if setting.meaning:
            return setting.meaning
        if passed:
            return f"the value of `{passed[1]}`"
        if setting.key.startswith(SWEPT):
            return f"what `{setting.key.removeprefix(SWEPT)}` is chosen from"
        if setting.takes and setting.default is None:
            return summary_of(setting.takes) or f"`{setting.takes}`"
        return _said_by_class(setting) or self._said_elsewhere(config, setting) or _argument_elsewhere(setting)

    def _said_elsewhere(self, config: Config, setting: Setting) -> str:
        """What another file says of the key, for a file that changes it or that makes an object of the same class."""
        group = setting.key.partition(".")[0]
        others = sorted(self._configs(), key=lambda other: other.group != group) if config.group else []
        same = (one for other in others for one in other.settings if isinstance(one, Setting))
        same = (one for one in same if one.key == setting.key and one is not setting)
        same = (one for one in same if setting.takes in (None, one.takes))
        said = (one.meaning or _said_by_class(one) or _argument_elsewhere(one) for one in same)
        return next(filter(None, said), "")


def _said_by_class(setting: Setting) -> str:
    return argument_of(setting.takes, setting.key.rpartition(".")[2]) if setting.takes else ""


def _argument_elsewhere(setting: Setting) -> str:
    """Of an argument of another package's, where to look it up."""
    if setting.key.startswith("hydra.") and setting.takes is None:
        return "a setting of Hydra itself"
    if setting.takes is None or setting.takes.startswith("askagain."):
        return ""
    return f"`{setting.key.rpartition('.')[2]}` of `{setting.takes}`"


def _source_of(target: str) -> tuple[ast.Module, list[str]] | None:
    """The module of a class or function of askagain, and its names in the module."""
    module = target.split(".")
    names: list[str] = []
    while module:
        path = SOURCE.joinpath(*module).with_suffix(".py")
        if path.is_file():
            return ast.parse(path.read_text(encoding="utf-8")), names
        names.insert(0, module.pop())
    return None


def _docstring_of(target: str) -> str:
    """The docstring of a class or function of askagain; of the class where a method makes it."""
    source = _source_of(target)
    if source is None:
        return ""
    tree, names = source
    for node in tree.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == names[0]:
            return ast.get_docstring(node) or ""
    return ""


def summary_of(target: str) -> str:
    """The first line of what a class or function of askagain says of itself."""
    return _docstring_of(target).partition("\n")[0]


def argument_of(target: str, name: str) -> str:
    """What the docstring of a class or function of askagain says of an argument."""
    docstring = _docstring_of(target)
    in_list = re.search(rf"^    {name}: (.+(?:\n        .+)*)", docstring, re.MULTILINE)
    if in_list:
        return " ".join(in_list[1].split()).removesuffix(".")
    in_prose = re.search(rf"`{name}`: ([^.]+(?:\.\w[^.]*)*)\.", docstring)
    return " ".join(in_prose[1].split()) if in_prose else ""


def _made(target: str) -> str:
    """The class or function that a config names, linked to its page where it is ours."""
    if not target.startswith("askagain."):
        return f"`{target}`"
    source = _source_of(target)
    names = source[1] if source else []
    module = ".".join(target.split(".")[: -len(names) or None])
    return f"[`{target}`][{module}.{names[0]}]" if names else f"`{target}`"


def _code(text: str) -> str:
    """Code in a cell of a table."""
    escaped = text.replace("|", "\\|")
    return f"`` {escaped} ``" if "`" in text else f"`{escaped}`"


def _text(text: str) -> str:
    """A comment as Markdown: settings and paths in it are code, and nothing is a tag."""
    if text.startswith("```"):
        return text
    parts = re.split(r"(`[^`]*`)", text)
    for place in range(0, len(parts), 2):
        parts[place] = _marked_up(parts[place])
    return "".join(parts)


# What is code in a comment: commands, settings, addresses, names of files and metrics, keys, names with an underscore.
CODE = re.compile(
    r"(?<![\w/`$.-])("
    r"python (?:scripts/)?\w+\.py(?: (?:-m|[\w./]+=(?:\[[^\]]*\]|[\w./:*-]+)))*"
    r"|python -m [\w.]+(?: --?\w+(?: \w+)?)*"
    r"|pip install [\w./-]+(?: [\w./-]+)*"
    r"|\w+(?: \w+)? --[\w-]+ \S+"
    r"|[\w./]+=(?:\[[^\]]*\]|<\w+>|[\w./:*-]*\w)?"
    r"|[a-z]+://[\w:./-]+"
    r"|[\w.]+(?:/[\w.@-]+)+"
    r"|[\w-]+(?:\.\w+)*\.(?:tsv|txt|md|yaml|ckpt|csv|json|py|gz)\b"
    r"|\.(?:gz|ckpt)\b"
    r"|(?:[a-z]\w*\.)+[a-z]\w*"
    r"|\w+@\w+|_\w+_|\w+_\w+"
    r")"
)


def _marked_up(text: str) -> str:
    return CODE.sub(r"`\1`", text).replace("|", "\\|")


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(cells) + " |" for cells in (headings, ["---"] * len(headings), *rows)]
    return "\n".join(lines) + "\n"


def main(words: Sequence[str]) -> int:
    """Writes the page, or with `--check` compares it; returns the exit status."""
    page = Reference().page()
    if "--check" not in words:
        PAGE.write_text(page, encoding="utf-8")
        return 0
    if PAGE.is_file() and PAGE.read_text(encoding="utf-8") == page:
        return 0
    print(f"error: {PAGE.relative_to(ROOT)} is not what configs/ says; type python {sys.argv[0]}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
