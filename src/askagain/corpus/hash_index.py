"""Numbers strings by their hashes in the order of their first use, in C or with array operations only."""

import numpy as np

from askagain.native import store

BLOCK = 1 << 15  # hashes looked up at a time: their intermediate arrays fit into the processor's cache
SMALLEST = 1 << 13  # slots of the first table
GROWTH = 2
FULLEST = 0.6  # share of the slots that may be taken
FREE = -1
MOST = np.iinfo(np.int32).max  # numbers that there are


def is_among(hashes: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Whether each hash is one of the `wanted`, [n] bool; fastest where `wanted` is the smaller of both.

    `np.isin` takes ten times as long: since NumPy 2.3 it enters all of both into a hash table.
    """
    if not len(wanted):
        return np.zeros(len(hashes), dtype=bool)
    ordered = np.sort(wanted)
    return ordered.take(np.searchsorted(ordered, hashes), mode="clip") == hashes


class HashIndex:
    """Numbers 64-bit hashes 0, 1, ... in the order of their first use.

    An open-addressing table of numbers, and an array of the hashes in the order of their numbers. Each hash takes 8
    bytes, and 7 to 14 more for its slots in the table. Two strings with the same hash get the same number. Among n
    distinct strings the chance of that is n^2 / 2^65: 3 in a million for ten million strings, 1 in 7,000 for seventy
    million.

    `block`: hashes looked up at a time. `smallest`: slots of the first table, a power of two. `counted`: count how
    often each hash was met, which takes 8 bytes more.
    """

    def __init__(self, block: int = BLOCK, smallest: int = SMALLEST, counted: bool = False) -> None:
        self._block = block
        self._count = 0
        self._counts = np.zeros(smallest, dtype=np.int64) if counted else None
        self._hashes = np.empty(smallest, dtype=np.uint64)
        self._table = np.full(smallest, FREE, dtype=np.int32)

    def __len__(self) -> int:
        return self._count

    @property
    def hashes(self) -> np.ndarray:
        """The hashes in the order of their numbers, [len(self)] uint64."""
        return self._hashes[: self._count]

    @property
    def counts(self) -> np.ndarray:
        """How often each hash was met, [len(self)] int64."""
        assert self._counts is not None
        return self._counts[: self._count]

    def number(self, hashes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The number of each hash, [n] int32, and the places in `hashes`, int64, of new ones, in order.

        Raises OverflowError where there are more hashes than numbers.
        """
        self._make_room(len(hashes))
        numbered = store.number(self._hashes, self._count, self._table, self._counts, hashes)
        if numbered is not None:
            self._count += len(numbered[1])
            return numbered
        numbers = np.empty(len(hashes), dtype=np.int32)
        new = [np.empty(0, dtype=np.int64)]
        for start in range(0, len(hashes), self._block):
            block = hashes[start : start + self._block]
            block_numbers, missing, slots = self._look_up(block)
            if len(missing):
                block_numbers[missing], first_uses = self._enter(block[missing], slots[missing])
                new.append(start + missing[first_uses])
            numbers[start : start + self._block] = block_numbers
        if self._counts is not None:
            np.add.at(self._counts, numbers, 1)
        return numbers, np.concatenate(new)

    def _look_up(self, hashes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The number of each hash in the table, which hashes are missing, in order, and the slot of each.

        The slot of a missing hash is the first free one that it may take.
        """
        slots = self._slots(hashes)
        numbers = self._table[slots]
        missing = [np.flatnonzero(numbers == FREE)]
        looking = np.flatnonzero((self._hashes[numbers] != hashes) & (numbers != FREE))
        while len(looking):
            self._probe(hashes, slots, looking)
            tried = self._table[slots[looking]]
            numbers[looking] = tried
            missing.append(looking[tried == FREE])
            looking = looking[(tried != FREE) & (self._hashes[tried] != hashes[looking])]
        return numbers, (np.sort(np.concatenate(missing)) if len(missing) > 1 else missing[0]), slots

    def _enter(self, hashes: np.ndarray, slots: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Enters hashes that are missing and may repeat; gives their numbers, and which of them are first uses.

        `slots`: a free slot for each. Equal hashes try the same slots in the same rounds. The last write into a slot
        stays, so they are written from last to first.
        """
        self._hashes[self._count : self._count + len(hashes)] = hashes
        first = np.empty(len(hashes), dtype=np.int64)
        waiting = np.arange(len(hashes) - 1, -1, -1)
        while len(waiting):
            self._table[slots[waiting]] = self._count + waiting
            written = self._table[slots[waiting]]
            settled = self._hashes[written] == hashes[waiting]
            first[waiting[settled]] = written[settled] - self._count
            waiting = looking = waiting[~settled]
            while len(looking):
                self._probe(hashes, slots, looking)
                tried = self._table[slots[looking]]
                looking = looking[(tried != FREE) & (self._hashes[tried] != hashes[looking])]
        is_first = first == np.arange(len(first))
        numbers = self._count - 1 + np.cumsum(is_first)[first]
        if not is_first.all():
            self._table[slots] = numbers
            self._hashes[self._count : self._count + is_first.sum()] = hashes[is_first]
        self._count += int(is_first.sum())
        return numbers, is_first

    def _slots(self, hashes: np.ndarray) -> np.ndarray:
        return (hashes & np.uint64(len(self._table) - 1)).view(np.int64)

    def _probe(self, hashes: np.ndarray, slots: np.ndarray, which: np.ndarray) -> None:
        """Moves the slots at `which` by a distance that depends on the hash; an odd one reaches every slot."""
        distance = (hashes[which] >> np.uint64(40)).view(np.int64) | 1
        slots[which] = (slots[which] + distance) & (len(self._table) - 1)

    def _make_room(self, count: int) -> None:
        wanted = self._count + count
        if wanted > MOST:
            raise OverflowError(f"more than {MOST:,} different strings")
        if wanted > len(self._hashes):
            room = max(wanted, len(self._hashes) * 3 // 2)
            self._hashes = _larger(self._hashes, room)
            if self._counts is not None:
                self._counts = _larger(self._counts, room)
        if wanted > FULLEST * len(self._table):
            size = len(self._table)
            while wanted > FULLEST * size:
                size *= GROWTH
            del self._table  # before there is another
            self._table = np.full(size, FREE, dtype=np.int32)
            if store.enter(self._hashes, self._count, self._table):
                return
            entered, self._count = self._count, 0
            for start in range(0, entered, self._block):
                block = self._hashes[start : min(start + self._block, entered)].copy()
                _, _, slots = self._look_up(block)
                self._enter(block, slots)


def _larger(array: np.ndarray, size: int) -> np.ndarray:
    """The array with zeros behind it."""
    larger = np.zeros(size, dtype=array.dtype)
    larger[: len(array)] = array
    return larger
