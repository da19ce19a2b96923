"""Which questions of a group are trained as a pair of duplicates."""

import numpy as np

from askagain.errors import InputError
from askagain.text.bags import Bags, offsets_of

STRATEGIES = ("first_two", "star", "all", "random")
GROUPS_A_BLOCK = 1 << 16  # worked on at a time: bounds the memory beside the pairs themselves


def pairs_of_groups(
    rows: Bags, groups: np.ndarray, strategy: str, max_pairs_per_group: int | None, seed: int, epoch: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of texts, and the group of each: ([pairs, 2] int32 text indices, [pairs] int32 group indices).

    `rows`: one bag of text indices a group; `groups`: the indices of those that give pairs. `strategy`: `first_two`,
    the first two questions of a group; `star`, the first with each other; `all`, each with each other; `random`,
    neighbours in an order of the group that is drawn anew for every `epoch`, so that every question takes part in one
    or two pairs where no bound cuts them. A group gives `max_pairs_per_group` pairs at most (None: no bound): the first
    ones of `star`, a sample that is fixed by `seed` for `all`, a fresh one every epoch for `random`. A text that stands
    twice in its group counts once. Raises InputError for an unknown strategy or a bound below 1.
    """
    if strategy not in STRATEGIES:
        raise InputError(f"data.pairs={strategy}: not one of {', '.join(STRATEGIES)}")
    if max_pairs_per_group is not None and max_pairs_per_group < 1:
        raise InputError(f"data.max_pairs_per_group={max_pairs_per_group}: at least 1, or null for no bound")
    rng = np.random.default_rng([seed, epoch] if strategy == "random" else seed)
    most = int(_most_pairs(rows, groups, strategy, max_pairs_per_group))
    pairs = np.empty((most, 2), dtype=np.int32)
    group_of_pair = np.empty(most, dtype=np.int32)
    count = 0
    for start in range(0, len(groups), GROUPS_A_BLOCK):
        block = groups[start : start + GROUPS_A_BLOCK]
        found, group = _pairs(_distinct_within(rows.take(block)), strategy, max_pairs_per_group, rng)
        pairs[count : count + len(found)] = found
        group_of_pair[count : count + len(found)] = block[group]
        count += len(found)
    return pairs[:count], group_of_pair[:count]


def _most_pairs(rows: Bags, groups: np.ndarray, strategy: str, max_pairs_per_group: int | None) -> np.integer:
    """How many pairs there are where no text stands twice in its group."""
    sizes = rows.lengths[groups]
    counts = sizes * (sizes - 1) // 2 if strategy == "all" else np.maximum(sizes - 1, 0)
    bound = 1 if strategy == "first_two" else max_pairs_per_group
    return (counts if bound is None else np.minimum(counts, bound)).sum()


def _pairs(
    groups: Bags, strategy: str, max_pairs_per_group: int | None, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of texts and the place of their group in `groups`."""
    sizes = groups.lengths
    if strategy == "random":
        groups = _shuffled_within(groups, rng)
    if strategy == "all":
        group, first, second = _all(sizes, max_pairs_per_group, rng)
    else:
        bound = 1 if strategy == "first_two" else max_pairs_per_group
        counts = np.maximum(sizes - 1, 0) if bound is None else np.clip(sizes - 1, 0, bound)
        group, place = _places(counts)
        first, second = (place if strategy == "random" else np.zeros_like(place)), place + 1
    starts = groups.offsets[group]
    return np.stack([groups.ids[starts + first], groups.ids[starts + second]], axis=1), group


def _distinct_within(groups: Bags) -> Bags:
    """The groups without repeats of a text, in the order of first mention."""
    group_of_text = np.repeat(np.arange(len(groups)), groups.lengths)
    keys = (group_of_text << 32) | groups.ids
    in_order = np.sort(keys)
    if not (in_order[1:] == in_order[:-1]).any():
        return groups
    _, mentions = np.unique(keys, return_index=True)
    mentions.sort()
    counts = np.bincount(group_of_text[mentions], minlength=len(groups))
    return Bags(groups.ids[mentions], offsets_of(counts))


def _places(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each group g, counts[g] entries: the group, and the running number 0, 1, ... within it."""
    group = np.repeat(np.arange(len(counts)), counts)
    return group, np.arange(len(group)) - offsets_of(counts)[group]


def _shuffled_within(groups: Bags, rng: np.random.Generator) -> Bags:
    group_of_text = np.repeat(np.arange(len(groups)), groups.lengths)
    return Bags(groups.ids[np.argsort(group_of_text + rng.random(len(groups.ids)))], groups.offsets)


def _all(sizes: np.ndarray, bound: int | None, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Group, first and second place of every unordered pair within each group, or of a sample of `bound` of them."""
    counts = sizes * (sizes - 1) // 2
    kept = counts if bound is None else np.minimum(counts, bound)
    group, number = _places(kept)
    starts = offsets_of(kept)
    for large in np.flatnonzero(kept < counts):
        sample = rng.choice(counts[large], size=kept[large], replace=False)
        number[starts[large] : starts[large + 1]] = np.sort(sample)
    # Pair (i, j), i < j, has the number j (j - 1) / 2 + i; the square root gives j up to a rounding that is mended.
    second = ((1 + np.sqrt(1 + 8 * number)) / 2).astype(np.int64)
    second -= second * (second - 1) // 2 > number
    second += second * (second + 1) // 2 <= number
    return group, number - second * (second - 1) // 2, second
