"""Reads the files of configs/ with their comments, for `scripts/config_reference.py`."""

import re
from dataclasses import dataclass, field
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
CONFIGS = ROOT / "configs"
PACKAGE = "# @package"
AT_ROOT = "/vectors@_global_.vectors"  # typed as vectors=, where the default of another config stands


@dataclass
class Setting:
    """A key of a config: its default and its meaning, as the file has them; a section has no default."""

    key: str
    default: str | None
    meaning: str
    takes: str | None  # the class or function that the key is an argument of


@dataclass
class Config:
    """A file of configs/: what its comments say, what it chooses of other groups, and its keys.

    Args:
        group: Empty for a command.
        name: That of the file.
        about: What the file is for.
        makes: The class or function that it names.
        chosen: Group, choice and comment of each choice in other groups.
        bases: Choices of its own group whose keys it has too, each with the section that it has them in, which is empty
            for the whole file.
        entries: Name and command of each entry where the file is a list of commands.
        settings: The keys; a string stands for a comment about the keys below it.
    """

    group: str
    name: str
    about: str = ""
    makes: str | None = None
    chosen: list[tuple[str, str, str]] = field(default_factory=list)
    bases: list[tuple[str, str]] = field(default_factory=list)
    entries: list[tuple[str, str]] = field(default_factory=list)
    settings: list[Setting | str] = field(default_factory=list)

    @property
    def title(self) -> str:
        return f"{self.group}={self.name}" if self.group else command_of(self.name)

    @property
    def anchor(self) -> str:
        return re.sub(r"\W+", "-", self.title)


def command_of(name: str) -> str:
    """The command whose config has this name."""
    return f"{name}.py" if (ROOT / f"{name}.py").is_file() else f"scripts/{name}.py"


class Reader:
    """Reads a file of configs/, with its comments."""

    def __init__(self, path: Path) -> None:
        group = path.parent.relative_to(CONFIGS).as_posix()
        self.config = Config("" if group == "." else group, path.stem)
        text = path.read_text(encoding="utf-8")
        self.lines = text.splitlines()
        self.root = yaml.compose(text)
        self.is_global = f"{PACKAGE} _global_" in self.lines
        self.noted = -1  # the last line of a comment that was read

    def read(self) -> Config:
        """What the file has."""
        first = self.root.value[0][0].start_mark.line if self.root.value else len(self.lines)
        header = [line for line in self.lines[:first] if line.startswith("# ") and not line.startswith(PACKAGE)]
        self.config.about = " ".join(line.removeprefix("# ") for line in header)
        if not self.root.value:
            self.config.about = f"{self.lines[0].partition('# ')[2].capitalize()}."
        self.noted = first - 1
        prefix = () if self.is_global or not self.config.group else tuple(self.config.group.split("/"))
        self._section(self.root, prefix)
        return self.config

    def _section(self, section: yaml.MappingNode, path: tuple[str, ...]) -> None:
        values = {key.value: value for key, value in section.value}
        makes = values["_target_"].value if "_target_" in values else None
        if section is self.root:
            self.config.makes = makes
        for key, value in section.value:
            if key.value == "defaults" and section is self.root:
                self._defaults(value)
            elif not key.value.startswith("_"):
                self._note_above(key.start_mark.line)
                self._setting(key, value, (*path, key.value), makes)

    def _setting(self, key: yaml.Node, value: yaml.Node, path: tuple[str, ...], takes: str | None) -> None:
        name, meaning = ".".join(path), self._comment_after(key, value)
        if name == "hydra.help.header" and not self.config.group:
            self.config.about = f"```text\n{value.value}\n```"
        elif isinstance(value, yaml.SequenceNode) and {type(item) for item in value.value} == {yaml.MappingNode}:
            self.config.settings.append(Setting(name, None, meaning, takes))
            self.config.entries += [entry for item in value.value for entry in self._entries(item)]
        elif not isinstance(value, yaml.MappingNode) or value.flow_style:
            self.config.settings.append(Setting(name, self._text(value), meaning, takes))
        else:
            made = {key.value: value.value for key, value in value.value}.get("_target_")
            if meaning or made:
                self.config.settings.append(Setting(name, None, meaning, made))
            self._section(value, path)

    def _entries(self, item: yaml.MappingNode) -> list[tuple[str, str]]:
        """The name and the command of each key; of an entry that has its name as a key, the name and all of it."""
        names = [value.value for key, value in item.value if key.value == "name"]
        if names:
            return [(names[0], self._text(item))]
        return [(key.value, command.value) for key, command in item.value]

    def _text(self, value: yaml.Node) -> str:
        """A value as it is typed."""
        if isinstance(value, yaml.SequenceNode) and not value.flow_style:
            return f"[{', '.join(map(self._text, value.value))}]"
        if value.start_mark.line != value.end_mark.line:
            return "(text)"
        return self.lines[value.start_mark.line][value.start_mark.column : value.end_mark.column].strip()

    def _comment_after(self, key: yaml.Node, value: yaml.Node) -> str:
        """The comment on the line of a key, with the lines below that go on at the same column."""
        last = value if value.start_mark.line == value.end_mark.line == key.start_mark.line else key
        number = key.start_mark.line
        start = self.lines[number].find("# ", last.end_mark.column)
        if start < 0:
            return ""
        parts = [self.lines[number][start:]]
        for line in self.lines[number + 1 :]:
            if not line.startswith("# ", start) or line[:start].strip():
                break
            parts.append(line[start:])
        self.noted = number + len(parts) - 1
        return " ".join(part.removeprefix("# ") for part in parts)

    def _note_above(self, number: int) -> None:
        """A comment on lines of its own, which is about the keys below it."""
        note = [line.strip() for line in self.lines[self.noted + 1 : number] if line.strip().startswith("# ")]
        if note:
            self.config.settings.append(" ".join(line.removeprefix("# ") for line in note))
        self.noted = number

    def _defaults(self, items: yaml.SequenceNode) -> None:
        for item in items.value:
            if isinstance(item, yaml.MappingNode):
                ((key, value),) = item.value
                group = re.sub(r"^(override |optional )?/?", "", key.value.replace(AT_ROOT, "/vectors"))
                if self.config.group.startswith("hydra"):
                    group = group if group.startswith("hydra/") else f"hydra/{group}"
                self.config.chosen.append((group, value.value, self._comment_after(key, value)))
            elif item.value != "_self_":
                base, _, section = item.value.partition("@")
                self.config.bases.append((base, section))
                self._comment_after(item, item)
            self.noted = max(self.noted, item.end_mark.line)
