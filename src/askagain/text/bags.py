"""Bags of ids as two flat arrays, ids and offsets, as `nn.EmbeddingBag` takes them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np


@dataclass(frozen=True, eq=False)
class Bags:
    """A sequence of bags: bag `i` is `ids[offsets[i]:offsets[i + 1]]`, and may be empty.

    `ids`: [ids of all bags] integers. `offsets`: [bags + 1] int64, from 0 to the number of ids. Either may be
    memory-mapped.
    """

    ids: np.ndarray
    offsets: np.ndarray

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> np.ndarray:
        """Ids in each bag, [bags] int64."""
        return np.diff(self.offsets)

    def slice(self, start: int, stop: int) -> "Bags":
        """The bags from `start` up to `stop`, without copying their ids."""
        offsets = self.offsets[start : stop + 1]
        return Bags(self.ids[offsets[0] : offsets[-1]], offsets - offsets[0])

    def bag(self, index: int) -> np.ndarray:
        return self.ids[self.offsets[index] : self.offsets[index + 1]]

    def take(self, rows: np.ndarray) -> "Bags":
        """The bags at `rows`, [n] integers, in that order; a bag may be taken twice."""
        rows = np.asarray(rows, dtype=np.intp)
        starts = self.offsets.take(rows)
        lengths = self.offsets.take(rows + 1) - starts
        return self._cut(starts, lengths)

    def expand(self, expansion: "Bags") -> "Bags":
        """Replaces each id by the bag `expansion[id]`: words become features, for all texts at once."""
        ids = self.ids.astype(np.intp)
        expanded = expansion._cut(expansion._starts.take(ids), expansion._lengths.take(ids))
        return Bags(expanded.ids, expanded.offsets[self.offsets])

    def _cut(self, starts: np.ndarray, lengths: np.ndarray) -> "Bags":
        """The bags that begin at `starts` and have these `lengths`."""
        offsets = offsets_of(lengths)
        positions = np.repeat(starts - offsets[:-1], lengths)
        positions += np.arange(len(positions))
        return Bags(self.ids.take(positions), offsets)

    @cached_property
    def _starts(self) -> np.ndarray:
        """Cached for bags that are looked up again and again; int32 where that is enough."""
        small = self.offsets[-1] < 2**31
        return self.offsets[:-1].astype(np.int32 if small else np.int64)

    @cached_property
    def _lengths(self) -> np.ndarray:
        return self.lengths.astype(np.int32)

    def sorted_within(self) -> "Bags":
        """The bags with their ids sorted, so that equal bags are summed in the same order and tie exactly."""
        ids = np.array(self.ids)
        lengths = self.lengths
        longest = int(lengths.max(initial=0))
        # Sorting padded rows of bags of similar lengths is faster than sorting all ids at once.
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
    def side_by_side(parts: "Sequence[Bags]") -> "Bags":
        """Concatenates the bags of the same index in all `parts`, which have equally many bags."""
        lengths = np.stack([bags.lengths for bags in parts])  # [parts, bags]
        offsets = offsets_of(lengths.sum(axis=0))
        begins = offsets[:-1] + np.cumsum(lengths, axis=0) - lengths
        ids = np.empty(offsets[-1], dtype=np.int32)
        for bags, begin, length in zip(parts, begins, lengths, strict=True):
            ids[np.repeat(begin - bags.offsets[:-1], length) + np.arange(len(bags.ids))] = bags.ids
        return Bags(ids, offsets)

    @staticmethod
    def concatenated(parts: "Sequence[Bags]") -> "Bags":
        """The bags of all `parts`, one after the other."""
        lengths = np.concatenate([bags.lengths for bags in parts])
        return Bags(np.concatenate([bags.ids for bags in parts]), offsets_of(lengths))

    @staticmethod
    def from_lists(lists: Sequence[Sequence[int]]) -> "Bags":
        lengths = np.fromiter((len(ids) for ids in lists), dtype=np.int64, count=len(lists))
        offsets = offsets_of(lengths)
        ids = np.fromiter((i for ids in lists for i in ids), dtype=np.int32, count=int(offsets[-1]))
        return Bags(ids, offsets)


def offsets_of(lengths: np.ndarray) -> np.ndarray:
    """The offsets, [n + 1] int64, of consecutive bags of these lengths, [n]."""
    offsets = np.zeros(len(lengths) + 1, dtype=np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return offsets


def counted_up(lengths: np.ndarray) -> np.ndarray:
    """0, 1, ... below each length, [sum of lengths] int64, one after the other: places within consecutive bags."""
    offsets = offsets_of(lengths)
    return np.arange(offsets[-1]) - np.repeat(offsets[:-1], lengths)
