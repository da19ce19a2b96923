"""Batches and their collators: the tensors that a module takes, cut out of flat arrays."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch

from askagain.corpus.token_store import TokenStore
from askagain.files.arrays import read_ahead, read_at_random
from askagain.files.memory import free_memory
from askagain.text.bags import Bags
from askagain.training.kernels.choice import native_kernels
from askagain.training.optim.embedding_bag import TensorBags

FITTING = 0.75  # of the free memory: larger features are not held in it, so that each batch waits for the disk


class DuplicateBatch(NamedTuple):
    """b pairs of duplicates, and m hard negatives if they are mined.

    `bags`: 2b + m bags: the queries, then the positives, then the negatives; an empty question is an empty bag.
    `groups`: [b + m] group ids of the pairs and the negatives. `size`: b.
    """

    bags: TensorBags
    groups: torch.Tensor
    size: int


class TextPairBatch(NamedTuple):
    """b pairs of duplicates as texts: `texts`, the b queries, then the b positives; `groups`, [b] their group ids."""

    texts: list[str]
    groups: np.ndarray

    @property
    def size(self) -> int:
        return len(self.groups)


class WordVectorBatch(NamedTuple):
    """b words: the bags of their letter n-grams, and their [b, dim] float32 vectors."""

    ngrams: TensorBags
    vectors: torch.Tensor

    @property
    def size(self) -> int:
        return len(self.vectors)


class DistillationBatch(NamedTuple):
    """b texts with their teacher's vectors; p of them have a duplicate.

    `bags`: b + p bags: the texts, then the duplicates. `teacher`: [b, dim] float32, unit rows. `paired`: [p] int64,
    which of the texts have a duplicate. `groups`: [p] group ids of the pairs.
    """

    bags: TensorBags
    teacher: torch.Tensor
    paired: torch.Tensor
    groups: torch.Tensor

    @property
    def size(self) -> int:
        return len(self.teacher)


class RankingBatch(NamedTuple):
    """Texts of a ranking set: `texts`, [b] indices into the distinct texts of `ranking`."""

    ranking: TokenStore
    texts: np.ndarray


@dataclass(frozen=True, eq=False)
class HardNegatives:
    """Hard negatives of an epoch.

    `bags`: the bags of the pool, which begins with the texts of the groups. `by_text`: [texts], for each text of the
    groups the index of its negative in the pool, -1 for none. `groups`: [pool] group ids.
    """

    bags: Bags
    by_text: np.ndarray
    groups: np.ndarray


class DuplicateCollator:
    """Cuts the bags of both sides of each pair out of the token store, by array operations only.

    `hard_negatives` is called for every batch and may return None.
    """

    def __init__(self, bags: Bags, hard_negatives: Callable[[], HardNegatives | None] = lambda: None) -> None:
        self.bags = bags
        self.hard_negatives = hard_negatives
        read_at_random(bags.ids)
        read_at_random(bags.offsets)
        free = free_memory()
        self._reads_ahead = free is not None and bags.ids.nbytes + bags.offsets.nbytes > FITTING * free

    def __call__(self, examples: tuple[np.ndarray, np.ndarray]) -> DuplicateBatch:
        """`examples`: [b, 2] text indices and [b] group ids."""
        pairs, groups = examples
        hard = self.hard_negatives()
        if self._reads_ahead:
            read_ahead(self.bags.offsets, pairs.ravel())
            read_ahead(self.bags.ids, self.bags.offsets[pairs.ravel()])
        if hard is None:
            return DuplicateBatch(TensorBags.taken(self.bags, pairs.T.ravel()), torch.from_numpy(groups), len(pairs))
        negatives = np.unique(hard.by_text[pairs[:, 0]])
        negatives = negatives[negatives >= 0]
        bags = TensorBags.taken(hard.bags, np.concatenate([pairs.T.ravel(), negatives]))
        groups = hard.groups[np.concatenate([pairs[:, 0], negatives])]
        return DuplicateBatch(bags, torch.from_numpy(groups), len(pairs))


@dataclass(frozen=True, eq=False)
class WordVectorCollator:
    """Cuts the n-gram bags and the target vectors of words out of flat arrays."""

    ngrams: Bags
    vectors: torch.Tensor

    def __call__(self, words: np.ndarray) -> WordVectorBatch:
        """`words`: [b] indices into both arrays."""
        fits = self.vectors.dtype == torch.float32 and self.vectors.is_contiguous()
        kernels = native_kernels() if fits else None
        rows = torch.from_numpy(np.asarray(words, dtype=np.int64))
        vectors = self.vectors.index_select(0, rows) if kernels is None else kernels.take_rows(self.vectors, rows)
        return WordVectorBatch(TensorBags.taken(self.ngrams, words), vectors)


@dataclass(frozen=True, eq=False)
class DistillationCollator:
    """Cuts the bags and the teacher's vectors of texts out of flat arrays."""

    bags: Bags
    vectors: np.ndarray

    def __call__(self, examples: tuple[np.ndarray, np.ndarray, np.ndarray]) -> DistillationBatch:
        """`examples`: [b] text indices, [b] a duplicate of each (-1: none), and [b] the group of both."""
        texts, duplicates, groups = examples
        paired = np.flatnonzero(duplicates >= 0)
        bags = TensorBags.taken(self.bags, np.concatenate([texts, duplicates[paired]]))
        teacher = torch.from_numpy(self.vectors[texts].astype(np.float32))
        return DistillationBatch(bags, teacher, torch.from_numpy(paired), torch.from_numpy(groups[paired]))
