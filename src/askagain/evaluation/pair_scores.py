"""The scores of pairs that duplicate each other and of pairs that do not, counted by score."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from askagain.corpus.files import CorpusFiles
from askagain.corpus.groups import joined_groups
from askagain.corpus.tsv import read_cells
from askagain.errors import InputError
from askagain.files.progress import counted_progress
from askagain.models.bag_encoder import BagEncoder
from askagain.text.bags import Bags

BINS = 1_000  # from a cosine of 0, and all below it, to 1
TEXTS_PER_BLOCK = 1 << 14
ASKED_PER_BLOCK = 512
FEWEST_GROUPS = 2  # to learn from one and to look at another


@dataclass(frozen=True, eq=False)
class PairCounts:
    """How many pairs have each score, by group of duplicates.

    `duplicates`: [groups, BINS] pairs within a group. `others`: [groups, BINS] pairs of a member and a text outside of
    the group. `members`: [groups] texts. `collection`: texts that members were compared with.
    """

    duplicates: np.ndarray
    others: np.ndarray
    members: np.ndarray
    collection: int

    def __len__(self) -> int:
        return len(self.members)

    def take(self, groups: np.ndarray) -> "PairCounts":
        """The counts of some groups."""
        return PairCounts(self.duplicates[groups], self.others[groups], self.members[groups], self.collection)


def bin_of(scores: np.ndarray) -> np.ndarray:
    """The bin of each score, from 0 to BINS - 1."""
    # A little is added so that rounding does not put a cosine of 0.7 into the bin below.
    return np.clip((scores * BINS + 1e-3).astype(np.int32), 0, BINS - 1)


def count_pairs(vectors: np.ndarray, groups: Sequence[np.ndarray]) -> PairCounts:
    """Compares the members of each group with each other and with all other texts.

    Args:
        vectors: [texts, dim] unit vectors of a collection, one for each distinct text.
        groups: the indices of the texts of each group, two or more.
    """
    members = np.concatenate(groups)
    group_of_member = np.repeat(np.arange(len(groups)), list(map(len, groups)))
    duplicates = np.zeros((len(groups), BINS), dtype=np.int64)
    everything = np.zeros((len(groups), BINS), dtype=np.int64)
    for place, group in enumerate(groups):
        scores = vectors[group] @ vectors[group].T
        own = bin_of(scores[np.triu_indices(len(group), 1)])
        duplicates[place] = np.bincount(own, minlength=BINS)
        everything[place] -= np.bincount(bin_of(scores).ravel(), minlength=BINS)  # with members themselves
    for first in counted_progress(range(0, len(members), ASKED_PER_BLOCK), len(members), ASKED_PER_BLOCK, "comparing"):
        asked = slice(first, first + ASKED_PER_BLOCK)
        offsets = (group_of_member[asked] * BINS)[:, np.newaxis]
        for start in range(0, len(vectors), TEXTS_PER_BLOCK):
            places = bin_of(vectors[members[asked]] @ vectors[start : start + TEXTS_PER_BLOCK].T) + offsets
            everything += np.bincount(places.ravel(), minlength=everything.size).reshape(everything.shape)
    return PairCounts(duplicates, everything, np.array(list(map(len, groups))), len(vectors))


def labelled_counts(encoder: BagEncoder, data: Path) -> tuple[PairCounts, PairCounts | None]:
    """The pairs of the validation rows of a corpus folder, and those of its test rows (None: it has none).

    A row's question and duplicate are a group; rows that share one of them are one group. The collection is every text
    of the folder. Raises InputError where there is no validation set, or no row with two different texts.
    """
    files = CorpusFiles.locate(str(data))
    numbers: dict[str, int] = {}
    rows = {}
    for name in ("validation", "test", "train", "corpus"):
        path = getattr(files, name)
        if path is None:
            continue
        cells = read_cells(path, separator=None if name == "corpus" else "\t")
        rows[name] = [[numbers.setdefault(text, len(numbers)) for text in row] for row in cells]
    if "validation" not in rows:
        raise InputError(f"{data}: no validation.tsv in it, which has the labelled questions")
    vectors = encoder.encode(list(numbers), normalize=True, show_progress=True)
    found = []
    for name in ("validation", "test"):
        groups = groups_of_pairs(rows.get(name, []), len(numbers))
        found.append(count_pairs(vectors, groups) if groups else None)
    if found[0] is None:
        raise InputError(f"{files.validation}: no row has a question and a duplicate that differ")
    if len(found[0]) < FEWEST_GROUPS:
        raise InputError(f"{files.validation}: {len(found[0])} labelled groups are too few; {FEWEST_GROUPS} are needed")
    return found[0], found[1]


def groups_of_pairs(rows: Sequence[Sequence[int]], texts: int) -> list[np.ndarray]:
    """The texts of each group, where the first two of each row are in one group; rows of one text are left out.

    `texts`: how many there are in all.
    """
    pairs = np.array([row[:2] for row in rows if len(row) > 1 and row[0] != row[1]], dtype=np.int64).reshape(-1, 2)
    group_of = joined_groups(Bags(pairs.ravel(), np.arange(len(pairs) + 1) * 2), texts)
    members = np.unique(pairs)
    order = members[np.argsort(group_of[members], kind="stable")]
    starts = np.flatnonzero(np.diff(group_of[order], prepend=-1))
    return np.split(order, starts[1:]) if len(order) else []
