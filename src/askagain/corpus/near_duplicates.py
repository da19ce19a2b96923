"""Finds texts of two sets that share most of their terms, without comparing every text with every other."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from askagain.files.progress import with_progress
from askagain.text.terms import are_near, terms


def near_duplicates(
    asked: Sequence[str], others: Sequence[str], threshold: float, description: str
) -> Iterator[tuple[int, int]]:
    """Pairs of a text of `asked` and one of `others` whose terms have a Jaccard index of `threshold` or more.

    Texts that are near share one of their rarest terms: of n terms, two texts can differ in at most n - ceil(t n), so
    that the n - ceil(t n) + 1 rarest terms of either have one in common. Only texts that do are compared.
    Source: prefix filtering in Bayardo et al., "Scaling Up All Pairs Similarity Search", WWW 2007.

    Args:
        asked: few texts; their terms stay in memory.
        others: many texts, read one after the other.
        threshold: above 0, at most 1.
        description: of the progress bar.

    Yields:
        The indices of both, in the order of `others`.
    """
    asked_terms = [terms(text) for text in asked]
    counts = Counter(term for own in asked_terms for term in own)
    rarest: defaultdict[str, list[int]] = defaultdict(list)
    for index, own in enumerate(asked_terms):
        for term in _rarest(own, counts, threshold):
            rarest[term].append(index)
    for other, text in enumerate(with_progress(others, len(others), description)):
        own = terms(text)
        candidates = {index for term in _rarest(own, counts, threshold) for index in rarest.get(term, ())}
        for index in sorted(candidates):
            if are_near(asked_terms[index], own, threshold):
                yield index, other


def _rarest(own: set[str], counts: Counter[str], threshold: float) -> list[str]:
    """The rarest terms of a text by their `counts`, ties in alphabetical order."""
    needed = len(own) - math.ceil(threshold * len(own)) + 1 if own else 0
    return sorted(own, key=lambda term: (counts[term], term))[:needed]
