"""Bags of ids kept flat: one array of ids and one of offsets, so that nobody loops over tokens."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np


@dataclass(frozen=True, eq=False)
class Bags:
    """A sequence of bags; bag `i` is `ids[offsets[i]:offsets[i + 1]]`, and may be empty.

    `ids`: [tokens] integers. `offsets`: [bags + 1] int64, rising, from 0 to the number of tokens. Either may be
    memory-mapped.
    """

    ids: np.ndarray
    offsets: np.ndarray

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> np.ndarray:
        """Tokens in each bag, [bags] int64."""
        return np.diff(self.offsets)

    def slice(self, start: int, stop: int) -> "Bags":
        """The bags from `start` up to `stop`, without a copy of their ids."""
        offsets = self.offsets[start : stop + 1]
        return Bags(self.ids[offsets[0] : offsets[-1]], offsets - offsets[0])

    def bag(self, index: int) -> np.ndarray:
        """The ids of one bag."""
        return self.ids[self.offsets[index] : self.offsets[index + 1]]

    def take(self, rows: np.ndarray) -> "Bags":
        """The bags at `rows` ([n] integers), in that order, repeats allowed."""
        rows = np.asarray(rows, dtype=np.intp)
        starts = self.offsets.take(rows)
        lengths = self.offsets.take(rows + 1) - starts
        return self._cut(starts, lengths)

    def expand(self, expansion: "Bags") -> "Bags":
        """Puts bag `expansion[id]` in the place of each id: words become features, for all texts at once."""
        ids = self.ids.astype(np.intp)
        expanded = expansion._cut(expansion._starts.take(ids), expansion._lengths.take(ids))
        return Bags(expanded.ids, expanded.offsets[self.offsets])

    def _cut(self, starts: np.ndarray, lengths: np.ndarray) -> "Bags":
        """The runs of ids that begin at `starts`."""
        offsets = offsets_of(lengths)
        positions = np.repeat(starts - offsets[:-1], lengths)
        positions += np.arange(len(positions))
        return Bags(self.ids.take(positions), offsets)

    @cached_property
    def _starts(self) -> np.ndarray:
        """For bags that are looked up over and over again; few enough for int32, where they can be."""
        small = self.offsets[-1] < 2**31
        return self.offsets[:-1].astype(np.int32 if small else np.int64)

    @cached_property
    def _lengths(self) -> np.ndarray:
        return self.lengths.astype(np.int32)

    def sorted_within(self) -> "Bags":
        """The same bags with ids in rising order, so that equal bags are summed in the same order and tie exactly."""
        ids = np.array(self.ids)
        lengths = self.lengths
        longest = int(lengths.max(initial=0))
        # Many short rows of a matrix are sorted faster than all ids at once: bags of similar lengths, filled up.
        width = 1
        while width < longest:
            rows = np.flatnonzero((lengths > width) & (lengths <= 2 * width))
            width *= 2
            columns = np.arange(width)
            filled = columns < lengths[rows, np.newaxis]
            places = (self.offsets[rows, np.newaxis] + columns)[filled]
            matrix = np.full(filled.shape, np.iinfo(ids.dtype).max, dtype=ids.dtype)
            matrix[filled] = ids[places]
            matrix.sort(axis=1)
            ids[places] = matrix[filled]
        return Bags(ids, self.offsets)

    @staticmethod
    def side_by_side(several: "Sequence[Bags]") -> "Bags":
        """Each bag of the first, then that of the same number in the second, and so on; all have as many."""
        lengths = np.stack([bags.lengths for bags in several])  # [several, bags]
        offsets = offsets_of(lengths.sum(axis=0))
        begins = offsets[:-1] + np.cumsum(lengths, axis=0) - lengths
        ids = np.empty(offsets[-1], dtype=np.int32)
        for bags, begin, length in zip(several, begins, lengths, strict=True):
            ids[np.repeat(begin - bags.offsets[:-1], length) + np.arange(len(bags.ids))] = bags.ids
        return Bags(ids, offsets)

    @staticmethod
    def from_lists(lists: Sequence[Sequence[int]]) -> "Bags":
        """Bags from a list of lists of ids."""
        lengths = np.fromiter((len(ids) for ids in lists), dtype=np.int64, count=len(lists))
        offsets = offsets_of(lengths)
        ids = np.fromiter((i for ids in lists for i in ids), dtype=np.int32, count=int(offsets[-1]))
        return Bags(ids, offsets)


def offsets_of(lengths: np.ndarray) -> np.ndarray:
    """Offsets [n + 1] int64 of consecutive runs with the given lengths [n]."""
    offsets = np.zeros(len(lengths) + 1, dtype=np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return offsets
