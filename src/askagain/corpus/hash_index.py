"""Numbers strings by their hashes in the order of their first use, with array operations only."""

import numpy as np

BLOCK = 1 << 15  # hashes looked up at a time: their intermediate arrays fit into the processor's cache
SMALLEST = 1 << 13  # slots of the first table
GROWTH = 4
FULLEST = 0.6  # share of the slots that may be taken
FREE = -1


class HashIndex:
    """Numbers 64-bit hashes 0, 1, ... in the order of their first use.

    An open-addressing table of numbers, and an array of the hashes in the order of their numbers. Each hash takes 8
    bytes, and 7 to 27 more for its slots in the table. Two strings with the same hash get the same number. Among n
    distinct strings the chance of that is n^2 / 2^65: 3 in a million for ten million strings, 1 in 7,000 for seventy
    million.

    `block`: hashes looked up at a time. `smallest`: slots of the first table, a power of two.
    """

    def __init__(self, block: int = BLOCK, smallest: int = SMALLEST) -> None:
        self._block = block
        self._count = 0
        self._hashes = np.empty(smallest, dtype=np.uint64)
        self._table = np.full(smallest, FREE, dtype=np.int32)

    def __len__(self) -> int:
        return self._count

    @property
    def hashes(self) -> np.ndarray:
        """The hashes in the order of their numbers, [len(self)] uint64."""
        return self._hashes[: self._count]

    def number(self, hashes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The number of each hash, [n] int32, and the places in `hashes`, [n] uint64, of new ones, in order."""
        numbers = np.empty(len(hashes), dtype=np.int32)
        new = [np.empty(0, dtype=np.int64)]
        for start in range(0, len(hashes), self._block):
            block = hashes[start : start + self._block]
            self._make_room(len(block))
            block_numbers, missing, slots = self._look_up(block)
            if len(missing):
                block_numbers[missing], first_uses = self._enter(block[missing], slots[missing])
                new.append(start + missing[first_uses])
            numbers[start : start + self._block] = block_numbers
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
        if wanted > len(self._hashes):
            larger = np.empty(max(wanted, len(self._hashes) * 3 // 2), dtype=np.uint64)
            larger[: self._count] = self._hashes[: self._count]
            self._hashes = larger
        if wanted > FULLEST * len(self._table):
            size = len(self._table)
            while wanted > FULLEST * size:
                size *= GROWTH
            self._table = np.full(size, FREE, dtype=np.int32)
            entered, self._count = self._count, 0
            for start in range(0, entered, self._block):
                block = self._hashes[start : min(start + self._block, entered)].copy()
                _, _, slots = self._look_up(block)
                self._enter(block, slots)
