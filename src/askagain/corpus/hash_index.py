"""Numbers strings by their hashes, in the order of their first use, by array operations only."""

import numpy as np

BLOCK = 1 << 15  # hashes looked up at a time; what is computed of them stays in the processor's cache
SMALLEST = 1 << 13  # places
GROWTH = 4
FULLEST = 0.6  # share of the places that may be taken
FREE = -1


class HashIndex:
    """Numbers 64-bit hashes 0, 1, ... in the order in which they first come.

    An open-addressing table of numbers beside the hashes themselves, in the order of their numbers: 8 bytes a hash and
    7 to 27 for its places. Two strings with the same hash get the same number. Among n distinct strings with a good
    hash that happens with a chance of n^2 / 2^65: 3 in a million for ten million of them, 1 in 7,000 for seventy
    million.
    """

    def __init__(self) -> None:
        self._count = 0
        self._hashes = np.empty(SMALLEST, dtype=np.uint64)
        self._table = np.full(SMALLEST, FREE, dtype=np.int32)

    def __len__(self) -> int:
        return self._count

    def number(self, hashes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The number of each hash, [n] int32, and the places in `hashes` ([n] uint64) of those that are new, rising."""
        numbers = np.empty(len(hashes), dtype=np.int32)
        new = [np.empty(0, dtype=np.int64)]
        for start in range(0, len(hashes), BLOCK):
            block = hashes[start : start + BLOCK]
            self._make_room(len(block))
            found, missing, places = self._look_up(block)
            if len(missing):
                fresh, first_uses = self._enter(block[missing], places[missing])
                found[missing] = fresh
                new.append(start + missing[first_uses])
            numbers[start : start + BLOCK] = found
        return numbers, np.concatenate(new)

    def _look_up(self, hashes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The numbers of the hashes that are in the table; which of them are not, rising; and the place of each, or
        the first free one that it may take.
        """
        places = self._places(hashes)
        numbers = self._table[places]
        missing = [np.flatnonzero(numbers == FREE)]
        looking = np.flatnonzero((self._hashes[numbers] != hashes) & (numbers != FREE))
        while len(looking):
            self._move_on(hashes, places, looking)
            tried = self._table[places[looking]]
            numbers[looking] = tried
            missing.append(looking[tried == FREE])
            looking = looking[(tried != FREE) & (self._hashes[tried] != hashes[looking])]
        return numbers, (np.sort(np.concatenate(missing)) if len(missing) > 1 else missing[0]), places

    def _enter(self, hashes: np.ndarray, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The numbers of hashes that are not in the table, which may repeat, and which of them are first uses.

        `places`: a free place for each. Equal hashes try the same places in the same rounds, and what is written last
        into a place stays: so they are written from the last one to the first.
        """
        self._hashes[self._count : self._count + len(hashes)] = hashes
        first = np.empty(len(hashes), dtype=np.int64)
        waiting = np.arange(len(hashes) - 1, -1, -1)
        while len(waiting):
            self._table[places[waiting]] = self._count + waiting
            there = self._table[places[waiting]]
            settled = self._hashes[there] == hashes[waiting]
            first[waiting[settled]] = there[settled] - self._count
            waiting = looking = waiting[~settled]
            while len(looking):
                self._move_on(hashes, places, looking)
                tried = self._table[places[looking]]
                looking = looking[(tried != FREE) & (self._hashes[tried] != hashes[looking])]
        is_first = first == np.arange(len(first))
        numbers = self._count - 1 + np.cumsum(is_first)[first]
        if not is_first.all():
            self._table[places] = numbers
            self._hashes[self._count : self._count + is_first.sum()] = hashes[is_first]
        self._count += int(is_first.sum())
        return numbers, is_first

    def _places(self, hashes: np.ndarray) -> np.ndarray:
        return (hashes & np.uint64(len(self._table) - 1)).view(np.int64)

    def _move_on(self, hashes: np.ndarray, places: np.ndarray, which: np.ndarray) -> None:
        """Moves some of `places` by a distance that depends on the hash; an odd one comes to every place in the end."""
        distance = (hashes[which] >> np.uint64(40)).view(np.int64) | 1
        places[which] = (places[which] + distance) & (len(self._table) - 1)

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
            for start in range(0, entered, BLOCK):
                block = self._hashes[start : min(start + BLOCK, entered)].copy()
                _, _, places = self._look_up(block)
                self._enter(block, places)
