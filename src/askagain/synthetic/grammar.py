"""The grammar of the built-in sample, read from `grammar.yaml`: concepts, and templates that phrase them."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

CONCEPTS = ("topics", "objects", "tasks", "circumstances", "errors")  # sections of the file


@dataclass(frozen=True)
class Concept:
    """One thing that a question may mention: its surface forms, its families, and the topics that have it."""

    forms: tuple[str, ...]
    families: tuple[str, ...] = ()  # a task and an object go together if they share one
    topics: tuple[str, ...] = ()  # first forms of topics; empty for every topic

    def fits(self, topic: "Concept") -> bool:
        """Whether the concept exists in the language or tool `topic`."""
        return not self.topics or topic.forms[0] in self.topics

    def goes_with(self, other: "Concept") -> bool:
        """Whether the two are different concepts that share a family."""
        return self != other and any(family in other.families for family in self.families)


@dataclass(frozen=True)
class Grammar:
    """The sections of `grammar.yaml`."""

    topics: tuple[Concept, ...]
    objects: tuple[Concept, ...]
    tasks: tuple[Concept, ...]
    circumstances: tuple[Concept, ...]
    errors: tuple[Concept, ...]
    how_templates: tuple[str, ...]
    error_templates: tuple[str, ...]
    difference_templates: tuple[str, ...]
    in_topic: tuple[str, ...]
    tags: tuple[str, ...]
    openings: tuple[str, ...]
    endings: tuple[str, ...]


@cache
def grammar() -> Grammar:
    """The grammar; the file is read once."""
    sections: Any = OmegaConf.to_container(OmegaConf.load(Path(__file__).with_suffix(".yaml")))
    del sections["some_topics"]  # anchors of the file
    for name in CONCEPTS:
        sections[name] = map(_concept, sections[name])
    return Grammar(**{name: tuple(items) for name, items in sections.items()})


def _concept(given: str | dict[str, Any]) -> Concept:
    """A concept of the file: its surface forms alone, or with its families and topics."""
    settings = {"forms": given} if isinstance(given, str) else dict(given)
    forms = tuple(settings.pop("forms").split("|"))
    return Concept(forms, **{name: tuple(names) for name, names in settings.items()})
