"""Draws the synthetic groups of the built-in sample: one combination of concepts, said in different words.

Every draw uses `random.Random.random`, the one method whose sequence Python keeps between versions, so that the same
seed gives the same questions everywhere.
"""

import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import TypeVar

from askagain.synthetic.grammar import Concept, grammar

Item = TypeVar("Item")

# Shares of all groups; the others ask how to do something.
ERROR_SHARE = 0.25
DIFFERENCE_SHARE = 0.05
CIRCUMSTANCE_SHARE = 0.85  # of the groups that ask how
OWN_SHARE = 0.2  # of objects and errors: one that only some topics have, such as ArrayList, where there is one
VARIATION_SHARE = 0.75  # differ by one concept from a recent group, which makes hard negatives
RECENT_GROUPS = 20

# Shares of all questions.
UNSAID_TOPIC = 0.15
UNSAID_CIRCUMSTANCE = 0.15
CANONICAL_SHARE = 0.7  # of the concepts in a question: their first form
OPENING_SHARE = 0.55
ENDING_SHARE = 0.7
LOWER_CASE_SHARE = 0.3
TYPO_SHARE = 0.15

GROUP_SIZES = (2, 2, 2, 2, 3, 3, 3, 4, 4, 5)  # drawn uniformly
WORDS_WITH_DOUBLED_CONSONANT = ("format", "submit")


class Draws:
    """Draws from a seeded generator, all through `random()`."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed).random

    def below(self, end: int) -> int:
        """A whole number from 0 to `end` - 1."""
        return int(self._random() * end)

    def chance(self, share: float) -> bool:
        """True in `share` of the draws."""
        return self._random() < share

    def pick(self, items: Sequence[Item]) -> Item:
        """One of the items, all equally likely."""
        return items[self.below(len(items))]

    def pick_early(self, items: Sequence[Item]) -> Item:
        """One of the items, the earlier ones more likely."""
        return items[int(self._random() * self._random() * len(items))]


@dataclass(frozen=True)
class Meaning:
    """The combination of concepts that the questions of a group share."""

    topic: Concept
    things: tuple[Concept, ...]  # the object of the task, or two objects to compare
    task: Concept | None = None  # None where two things are compared
    circumstance: Concept | None = None
    error: Concept | None = None

    def makes_sense(self) -> bool:
        """Whether the concepts exist in the topic and go together."""
        if not all(concept.fits(self.topic) for concept in (*self.things, self.error) if concept is not None):
            return False
        details = [detail for detail in (self.circumstance, self.error) if detail is not None]
        if self.task is None:
            first, *others = self.things  # in one order only: "a or b" asks the same as "b or a"
            return not details and len(others) == 1 and first.goes_with(others[0]) and first.forms < others[0].forms
        return len(details) < 2 and len(self.things) == 1 and self.task.goes_with(self.things[0])


def question_groups(draws: Draws) -> Iterator[list[str]]:
    """Yields groups of 2 to 5 questions that mean the same, without end.

    No two groups have the same combination of concepts, and no text is repeated, whatever its case.
    """
    meanings: list[Meaning] = []
    known: set[Meaning] = set()
    texts: set[str] = set()
    while True:
        varied = meanings and draws.chance(VARIATION_SHARE)
        meaning = vary_meaning(draws.pick(meanings[-RECENT_GROUPS:]), draws) if varied else draw_meaning(draws)
        if meaning in known:
            continue
        known.add(meaning)
        meanings.append(meaning)
        yield [_new_question(meaning, texts, draws) for _ in range(draws.pick(GROUP_SIZES))]


def _new_question(meaning: Meaning, texts: set[str], draws: Draws) -> str:
    """A question that is not in `texts` yet, to which it is added."""
    while True:
        question = say(meaning, draws)
        if question.casefold() not in texts:
            texts.add(question.casefold())
            return question


def draw_meaning(draws: Draws) -> Meaning:
    """A combination of concepts that makes sense."""
    while True:
        meaning = _any_meaning(draws)
        if meaning.makes_sense():
            return meaning


def vary_meaning(meaning: Meaning, draws: Draws) -> Meaning:
    """A combination that makes sense and differs from `meaning` by one concept."""
    while True:
        name = draws.pick([field.name for field in fields(Meaning)])
        varied = replace(meaning, **{name: getattr(draw_meaning(draws), name)})
        if varied != meaning and varied.makes_sense():
            return varied


def _any_meaning(draws: Draws) -> Meaning:
    topic = draws.pick_early(grammar().topics)
    thing = _own_or_any(grammar().objects, topic, draws)
    if draws.chance(DIFFERENCE_SHARE):
        return Meaning(topic, (thing, draws.pick(grammar().objects)))
    task = draws.pick(grammar().tasks)
    if draws.chance(ERROR_SHARE):
        return Meaning(topic, (thing,), task, error=_own_or_any(grammar().errors, topic, draws))
    circumstance = draws.pick(grammar().circumstances) if draws.chance(CIRCUMSTANCE_SHARE) else None
    return Meaning(topic, (thing,), task, circumstance)


def _own_or_any(concepts: Sequence[Concept], topic: Concept, draws: Draws) -> Concept:
    own = [concept for concept in concepts if concept.topics and concept.fits(topic)]
    return draws.pick(own if own and draws.chance(OWN_SHARE) else concepts)


def say(meaning: Meaning, draws: Draws) -> str:
    """A question with this meaning: a template filled with surface forms, at times with an omission or a typo."""
    question = _fill(meaning, draws)
    if draws.chance(OPENING_SHARE):
        question = f"{draws.pick(grammar().openings)} {question}"
    if draws.chance(ENDING_SHARE):
        question = f"{question} {draws.pick(grammar().endings)}"
    if draws.chance(LOWER_CASE_SHARE):
        question = question.lower()
    if draws.chance(TYPO_SHARE):
        question = _mistyped(question, draws)
    return question


def _fill(meaning: Meaning, draws: Draws) -> str:
    slots = {"in_topic": "", "tag": "", "circumstance": ""}
    if not draws.chance(UNSAID_TOPIC):
        topic = _form(meaning.topic, draws)
        slots["in_topic"] = draws.pick(grammar().in_topic).format(topic=topic)
        slots["tag"] = draws.pick(grammar().tags).format(topic=topic)
    if meaning.task is None:
        thing, other = (_form(thing, draws) for thing in meaning.things)
        slots |= {"thing": thing, "other": other, "brief_thing": _brief(thing), "brief_other": _brief(other)}
        return _spaced(draws.pick(grammar().difference_templates).format(**slots))
    verb, rest = _form(meaning.task, draws).split(" ", maxsplit=1)
    rest = rest.replace("~", _form(meaning.things[0], draws))
    slots |= {"do": f"{verb} {rest}", "doing": f"{gerund(verb)} {rest}", "brief": f"{verb} {_brief(rest)}"}
    if meaning.error is not None:
        return _spaced(draws.pick(grammar().error_templates).format(error=_form(meaning.error, draws), **slots))
    if meaning.circumstance is not None and not draws.chance(UNSAID_CIRCUMSTANCE):
        slots["circumstance"] = _form(meaning.circumstance, draws)
    return _spaced(draws.pick(grammar().how_templates).format(**slots))


def _form(concept: Concept, draws: Draws) -> str:
    return concept.forms[0] if draws.chance(CANONICAL_SHARE) else draws.pick(concept.forms)


def _brief(text: str) -> str:
    return re.sub(r"\b(?:a|an|the) ", "", text)


def _spaced(text: str) -> str:
    """Closes the gaps that omitted parts leave."""
    return re.sub(r"\s+([?,:](?=\s|$))", r"\1", " ".join(text.split())).lstrip(":, ")


def gerund(verb: str) -> str:
    """The -ing form of a verb: sorting, merging, splitting."""
    if verb in WORDS_WITH_DOUBLED_CONSONANT or re.fullmatch(r"[^aeiou]*[aeiou][^aeiouwxy]", verb):
        return f"{verb}{verb[-1]}ing"
    return (verb[:-1] if verb.endswith("e") else verb) + "ing"


def _mistyped(text: str, draws: Draws) -> str:
    """Swaps two neighbouring letters, or drops one, inside a word of five letters or more."""
    words = [match.span() for match in re.finditer(r"[A-Za-z]{5,}", text)]
    if not words:
        return text
    start, end = draws.pick(words)
    at = start + 1 + draws.below(end - start - 2)
    if draws.chance(0.5):
        return text[:at] + text[at + 1] + text[at] + text[at + 2 :]
    return text[:at] + text[at + 1 :]
