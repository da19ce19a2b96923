"""Strategies that choose which questions of a group are trained as pairs of duplicates."""

import numpy as np

from askagain.text.bags import Bags, counted_up, offsets_of

GROUPS_PER_BLOCK = 1 << 16


def pairs_of_groups(
    rows: Bags,
    groups: np.ndarray,
    strategy: str,
    max_pairs_per_group: int | None,
    seed: int,
    epoch: int = 0,
    groups_per_block: int = GROUPS_PER_BLOCK,
) -> tuple[np.ndarray, np.ndarray]:
    """Draws pairs of texts from groups of duplicates. A text that is twice in its group counts once.

    Args:
        rows: one bag of text indices for each group.
        groups: indices of the groups to draw from.
        strategy: `first_two`, the first two texts of a group; `star`, the first text with every other; `all`, every
            text with every other; `random`, neighbours in an order that is drawn anew for every epoch, so that every
            text is in one or two pairs unless a bound cuts them.
        max_pairs_per_group: the most pairs of a group (None: no bound): the first ones of `star`, a sample fixed by
            `seed` of `all`, a new sample every epoch of `random`.
        seed: of the draws.
        epoch: counts from 0.
        groups_per_block: groups that are worked on together; bounds the memory beside the pairs.

    Returns:
        Text indices, [pairs, 2] int32, and the group index of each pair, [pairs] int32.
    """
    rng = np.random.default_rng([seed, epoch] if strategy == "random" else seed)
    most = most_pairs(rows.lengths[groups], strategy, max_pairs_per_group)
    pairs = np.empty((most, 2), dtype=np.int32)
    group_of_pair = np.empty(most, dtype=np.int32)
    count = 0
    for start in range(0, len(groups), groups_per_block):
        block = groups[start : start + groups_per_block]
        drawn, group = _pairs(_distinct_within(rows.take(block)), strategy, max_pairs_per_group, rng)
        pairs[count : count + len(drawn)] = drawn
        group_of_pair[count : count + len(drawn)] = block[group]
        count += len(drawn)
    return pairs[:count], group_of_pair[:count]


def most_pairs(sizes: np.ndarray, strategy: str, max_pairs_per_group: int | None) -> int:
    """How many pairs groups of so many texts give an epoch, where none has a text twice; see `pairs_of_groups`."""
    counts = sizes * (sizes - 1) // 2 if strategy == "all" else np.maximum(sizes - 1, 0)
    bound = 1 if strategy == "first_two" else max_pairs_per_group
    return int((counts if bound is None else np.minimum(counts, bound)).sum())


def _pairs(
    groups: Bags, strategy: str, max_pairs_per_group: int | None, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of texts, and the place of their group in `groups`."""
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
    """The groups without repeated texts, in the order of first mention."""
    ids = groups.ids
    group_of_text = np.repeat(np.arange(len(groups)), groups.lengths)
    falls = (ids[1:] <= ids[:-1]) & (group_of_text[1:] == group_of_text[:-1])
    if not falls.any():  # so that no group repeats a text
        return groups
    may_repeat = np.zeros(len(groups), dtype=bool)
    may_repeat[group_of_text[1:][falls]] = True
    is_kept = ~may_repeat[group_of_text]
    looked_at = np.flatnonzero(~is_kept)
    _, mentions = np.unique((group_of_text[looked_at] << 32) | ids[looked_at], return_index=True)
    is_kept[looked_at[mentions]] = True
    return Bags(ids[is_kept], offsets_of(np.bincount(group_of_text[is_kept], minlength=len(groups))))


def _places(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`counts[g]` entries for each group g: the group, and the running number 0, 1, ... within it."""
    return np.repeat(np.arange(len(counts)), counts), counted_up(counts)


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
    # Pair (i, j), i < j, has the number j (j - 1) / 2 + i; the square root gives j up to rounding, which is corrected.
    second = ((1 + np.sqrt(1 + 8 * number)) / 2).astype(np.int64)
    second -= second * (second - 1) // 2 > number
    second += second * (second + 1) // 2 <= number
    return group, number - second * (second - 1) // 2, second
