"""Draws the candidates of a ranking row: other questions, but neither members of its group nor texts close to one."""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from askagain.text.terms import are_near, terms

COMPARED_MEMBERS = 50  # of a group, the question and its duplicate first: a group may have hundreds
REMEMBERED = 1 << 17  # texts whose terms are kept
DENSE = 4  # a pool of at most this many times the candidates is shuffled instead of sampled


class Drawn(NamedTuple):
    """The candidates of a row, [candidates] indices of texts, and how many were left out as too close."""

    texts: np.ndarray
    guarded: int


class CandidateSampler:
    """Draws candidates from a pool of texts, reproducibly row by row.

    Args:
        texts: all texts.
        pool: the indices of the texts to draw from, [pool] integers.
        count: candidates of a row, or fewer where the pool has no more.
        guard: texts that share this much of their terms with a member of the row's group are left out, see
            `askagain.text.terms.are_near`.
        seed: of the draws.
    """

    def __init__(self, texts: Sequence[str], pool: np.ndarray, count: int, guard: float, seed: int) -> None:
        self._pool = pool
        self._count = count
        self._guard = guard
        self._seed = seed
        self._terms = lru_cache(REMEMBERED)(lambda text: terms(texts[text]))  # of texts that are drawn again

    def draw(self, row: int, members: Sequence[int], closest: Iterable[int] = (), hard: int = 0) -> Drawn:
        """The candidates of a row, in random order.

        `row`: its number, which the draw depends on. `members`: the texts of its group, its question and duplicate
        first. `closest`: texts close to the question, the `hard` first of which that may be candidates are taken before
        any are drawn.
        """
        rng = np.random.default_rng([self._seed, row])
        near = [self._terms(text) for text in members[:COMPARED_MEMBERS]]
        seen = set(members)
        taken: list[int] = []
        guarded = 0

        def consider(texts: Iterable[int], most: int) -> None:
            nonlocal guarded
            for text in texts:
                if len(taken) == most:
                    return
                if text in seen:
                    continue
                seen.add(text)
                candidate = self._terms(text)
                if any(are_near(member, candidate, self._guard) for member in near):
                    guarded += 1
                else:
                    taken.append(text)

        consider(closest, min(hard, self._count))
        if len(self._pool) <= DENSE * self._count:
            consider(rng.permutation(self._pool).tolist(), self._count)
        else:
            while len(taken) < self._count and len(seen) < len(self._pool) // 2:
                consider(self._pool[rng.integers(len(self._pool), size=self._count)].tolist(), self._count)
        return Drawn(rng.permutation(np.array(taken, dtype=np.int64)), guarded)


def duplicates_of(group: Sequence[int], rng: np.random.Generator) -> list[int]:
    """The members of a group, two of them at random first: a question and its duplicate."""
    first, second = rng.choice(len(group), size=2, replace=False).tolist()
    rest = [text for place, text in enumerate(group) if place not in (first, second)]
    return [group[first], group[second], *rest]
