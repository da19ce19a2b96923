"""The questions of a source and the groups of duplicates among them, before they are split."""

import hashlib
import re
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from askagain.corpus.tsv import LONGEST_TEXT
from askagain.text.bags import Bags, offsets_of
from askagain.text.cleaning import cleaned
from askagain.text.lazy_texts import LazyTexts
from askagain.text.terms import alike_key

UNWRITABLE = re.compile("[\0\ud800-\udfff]")
TOO_LONG = f"texts of more than {LONGEST_TEXT:,} bytes left out"
UNKNOWN_DATE = np.iinfo(np.int64).min


@dataclass(frozen=True, eq=False)
class Questions:
    """The distinct questions of a source.

    Two texts that `alike_key` takes for one are one question, under its first spelling. `groups`: disjoint bags of two
    or more questions that ask the same. `dates`: seconds since 1970 of each question, [texts] int64, or None.
    `also_unlabelled`: which questions a source of unlabelled texts has too, [texts] bool. `counts`: what was read, by
    name.
    """

    texts: Sequence[str]
    groups: Bags
    dates: np.ndarray | None
    also_unlabelled: np.ndarray
    counts: dict[str, int] = field(default_factory=dict)


def key_hash(text: str) -> int:
    """A 64-bit hash of `alike_key`, the same on every machine."""
    return int.from_bytes(hashlib.blake2b(alike_key(text).encode("utf-8"), digest_size=8).digest(), "little")


def join(
    texts: Sequence[str],
    keys: np.ndarray,
    edges: np.ndarray,
    unlabelled: np.ndarray,
    dates: np.ndarray | None = None,
    counts: dict[str, int] | None = None,
) -> Questions:
    """Makes one question of texts with one key, and groups of questions that duplicate each other.

    Args:
        texts: as they were read.
        keys: `key_hash` of each, [texts] uint64.
        edges: pairs of duplicates, [pairs, 2] indices of texts.
        unlabelled: whether a source of unlabelled texts has each, [texts] bool.
        dates: seconds since 1970, [texts] int64; of texts with one key the first counts.
        counts: what was read, by name.
    """
    _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    order = np.argsort(first)  # of the keys, by their first text
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    question = place[inverse]  # of each text
    linked = question[edges.reshape(-1, 2)]
    linked = linked[linked[:, 0] != linked[:, 1]]
    graph = coo_array((np.ones(len(linked), np.int8), linked.T), shape=(len(first), len(first)))
    component = connected_components(graph, directed=False)[1]
    in_group = np.bincount(component)[component] > 1
    members = np.flatnonzero(in_group)
    _, begins, group = np.unique(component[members], return_index=True, return_inverse=True)
    number = np.argsort(np.argsort(begins))[group]  # groups in the order of their first question
    by_group = np.argsort(number, kind="stable")
    kept = np.sort(first)
    also = np.zeros(len(first), dtype=bool)
    also[question[unlabelled]] = True
    totals = {
        **(counts or {}),
        "texts that repeat another": len(texts) - len(first),
        "pairs of one and the same text": len(edges) - len(linked),
    }
    return Questions(
        texts if len(kept) == len(texts) else Selected(texts, kept),
        Bags(members[by_group], offsets_of(np.bincount(number, minlength=len(begins)))),
        None if dates is None else dates[kept],
        also,
        totals,
    )


class Selected(LazyTexts):
    """The texts at `places` of a sequence."""

    def __init__(self, texts: Sequence[str], places: np.ndarray) -> None:
        self._texts = texts
        self._places = places

    def __len__(self) -> int:
        return len(self._places)

    def text(self, place: int) -> str:
        return self._texts[int(self._places[place])]


class QuestionsBuilder:
    """Collects texts and duplicates in memory; empty texts and those that are too long to be read are left out."""

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._index: dict[str, int] = {}
        self._edges = array("q")
        self._unlabelled = bytearray()
        self._dates: dict[int, int] = {}
        self.counts: dict[str, int] = {}

    def count(self, name: str, more: int = 1) -> None:
        self.counts[name] = self.counts.get(name, 0) + more

    def add(self, text: str, date: int | None = None, unlabelled: bool = False) -> int | None:
        """The index of a text on one line, or None where nothing is left of it, or too much."""
        text = one_line(text)
        if not text:
            return None
        if is_too_long(text):
            self.count(TOO_LONG)
            return None
        index = self._index.setdefault(text, len(self._texts))
        if index == len(self._texts):
            self._texts.append(text)
            self._unlabelled.append(False)
        self._unlabelled[index] |= unlabelled
        if date is not None:
            self._dates[index] = max(date, self._dates.get(index, date))
        return index

    def add_group(self, texts: Iterable[str], date: int | None = None) -> bool:
        """Adds texts that duplicate each other; False where there are fewer than two, which are added all the same."""
        indices = [index for index in (self.add(text, date) for text in texts) if index is not None]
        for other in indices[1:]:
            self._edges.extend((indices[0], other))
        return len(indices) > 1

    def join(self) -> Questions:
        """The questions and groups that were added."""
        dates = None
        if self._dates:
            dates = np.full(len(self._texts), UNKNOWN_DATE)
            dates[list(self._dates)] = list(self._dates.values())
        keys = np.fromiter(map(key_hash, self._texts), np.uint64, len(self._texts))
        unlabelled = np.frombuffer(self._unlabelled, dtype=bool)
        edges = np.array(self._edges, dtype=np.int64).reshape(-1, 2)
        return join(self._texts, keys, edges, unlabelled, dates, self.counts)


def one_line(text: str) -> str:
    """The text without invisible characters, its white space, tabs and line ends as single spaces.

    Halves of characters, which JSON may escape, are left out: no file can hold them.
    """
    return " ".join(cleaned(UNWRITABLE.sub("", text)).split())


def is_too_long(text: str) -> bool:
    """Whether a text has more bytes than `askagain.corpus.tsv` reads."""
    return len(text.encode("utf-8", "replace")) > LONGEST_TEXT
