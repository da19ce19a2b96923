"""Numbers strings by their hashes, in the order of their first use, by array operations only."""

import numpy as np

BLOCK = 1 << 16  # hashes looked up at a time; what is computed of them stays in the processor's cache
SMALLEST = 1 << 12
FULLEST = 0.6  # share of the places that may be taken


class HashIndex:
    """An open-addressing table from 64-bit hashes to numbers 0, 1, ... in the order in which hashes first come.

    Two strings with the same hash get the same number. Among n distinct strings with a good hash that happens with a
    chance of n^2 / 2^65: 3 in a million for ten million of them, 1 in 7,000 for seventy million.
    """

    def __init__(self) -> None:
        self._count = 0
        self._hashes = np.zeros(SMALLEST, dtype=np.uint64)  # 0: the place is free
        self._numbers = np.zeros(SMALLEST, dtype=np.int32)

    def __len__(self) -> int:
        return self._count

    def number(self, hashes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The number of each hash, [n] int32, and the places in `hashes` ([n] uint64) of those that are new, rising."""
        hashes = np.maximum(hashes, 1)
        numbers = np.empty(len(hashes), dtype=np.int32)
        new = [np.empty(0, dtype=np.int64)]
        for start in range(0, len(hashes), BLOCK):
            block = hashes[start : start + BLOCK]
            while self._count + len(block) > FULLEST * len(self._hashes):
                self._grow()
            found, missing = self._look_up(block)
            if len(missing):
                _, first, which = np.unique(block[missing], return_index=True, return_inverse=True)
                order = np.argsort(first)  # of first use
                number_of = np.empty(len(first), dtype=np.int32)
                number_of[order] = np.arange(self._count, self._count + len(first))
                first_use = missing[first[order]]
                self._insert(block[first_use], number_of[order])
                found[missing] = number_of[which]
                self._count += len(first)
                new.append(start + first_use)
            numbers[start : start + BLOCK] = found
        return numbers, np.concatenate(new)

    def _look_up(self, hashes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The number of each hash, and the places of those that are not in the table."""
        last = np.uint64(len(self._hashes) - 1)
        places = hashes & last
        there = self._hashes[places]
        numbers = self._numbers[places]
        missing = [np.flatnonzero(there == 0)]
        looking = np.flatnonzero((there != hashes) & (there != 0))
        while len(looking):
            places[looking] = (places[looking] + np.uint64(1)) & last
            there = self._hashes[places[looking]]
            missing.append(looking[there == 0])
            looking_on = (there != 0) & (there != hashes[looking])
            found = looking[there == hashes[looking]]
            numbers[found] = self._numbers[places[found]]
            looking = looking[looking_on]
        return numbers, np.sort(np.concatenate(missing))

    def _insert(self, hashes: np.ndarray, numbers: np.ndarray) -> None:
        """Distinct hashes that are not in the table."""
        last = np.uint64(len(self._hashes) - 1)
        places = hashes & last
        waiting = np.arange(len(hashes))
        while len(waiting):
            free = waiting[self._hashes[places[waiting]] == 0]
            self._hashes[places[free]] = hashes[free]  # of several for one place, one stays
            settled = self._hashes[places[waiting]] == hashes[waiting]
            self._numbers[places[waiting[settled]]] = numbers[waiting[settled]]
            waiting = waiting[~settled]
            places[waiting] = (places[waiting] + np.uint64(1)) & last

    def _grow(self) -> None:
        taken = self._hashes != 0
        hashes, numbers = self._hashes[taken], self._numbers[taken]
        size = 4 * len(taken) if len(taken) < 1 << 24 else 2 * len(taken)
        self._hashes = np.zeros(size, dtype=np.uint64)
        self._numbers = np.zeros(size, dtype=np.int32)
        del taken
        for start in range(0, len(hashes), BLOCK):
            self._insert(hashes[start : start + BLOCK], numbers[start : start + BLOCK])
