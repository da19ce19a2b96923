"""Texts whose duplicates are known: what benchmarks search and compare, and how right a contender's pairs are."""

from dataclasses import dataclass
from itertools import chain

import numpy as np

from askagain.corpus.files import CorpusFiles
from askagain.corpus.groups import joined_groups
from askagain.corpus.tsv import read_cells
from askagain.ranking.metrics import Metrics
from askagain.text.bags import Bags, offsets_of


@dataclass(frozen=True)
class LabelledTexts:
    """Distinct texts with the group of each, and questions that are not among them.

    `groups`: [texts] int64; texts of a group are duplicates, and a text without any is a group of its own.
    `questions`: each has duplicates among the texts.
    """

    texts: list[str]
    groups: np.ndarray
    questions: list[str]

    @classmethod
    def read(cls, files: CorpusFiles, questions: int, texts: int | None = None) -> "LabelledTexts":
        """The texts of `train.tsv` and of `corpus.txt`; the last text of each of the first groups is a question.

        Args:
            files: of a corpus.
            questions: how many; fewer where there are fewer groups.
            texts: how many are read in all, up to the end of a line (None: all).

        Raises:
            InputError: The corpus has no `train.tsv`, or a bad line.
        """
        places: dict[str, int] = {}
        rows: list[list[int]] = []
        lines = read_cells(files.file("train"))
        if files.corpus is not None:
            lines = chain(lines, read_cells(files.corpus, separator=None))
        for cells in lines:
            rows.append([places.setdefault(cell, len(places)) for cell in cells])
            if texts is not None and len(places) >= texts:
                break
        lengths = np.array([len(row) for row in rows], dtype=np.int64)
        ids = np.fromiter(chain.from_iterable(rows), dtype=np.int32, count=int(lengths.sum()))
        groups = joined_groups(Bags(ids, offsets_of(lengths)), len(places)).astype(np.int64)
        asked = _last_of_groups(groups, questions)
        is_asked = np.zeros(len(places), dtype=bool)
        is_asked[asked] = True
        every = list(places)
        return cls([every[row] for row in np.flatnonzero(~is_asked)], groups[~is_asked], [every[row] for row in asked])

    @property
    def duplicate_pairs(self) -> int:
        """How many pairs of texts are of the same group."""
        sizes = np.bincount(self.groups)
        return int((sizes * (sizes - 1) // 2).sum())

    @property
    def redundant_texts(self) -> int:
        """How many texts have to go for one of each group to stay."""
        return len(self.texts) - len(np.unique(self.groups))

    def quality(self, pairs: np.ndarray, wanted: int) -> Metrics:
        """How many of [n, 2] pairs of rows are of the same group (`precision`), and of those `wanted` (`recall`)."""
        right = int((self.groups[pairs[:, 0]] == self.groups[pairs[:, 1]]).sum())
        return {"precision": right / max(len(pairs), 1), "recall": right / max(wanted, 1)}


def _last_of_groups(groups: np.ndarray, count: int) -> np.ndarray:
    """The last row of each of the first `count` groups of two or more rows."""
    numbers, sizes = np.unique(groups, return_counts=True)
    last = len(groups) - 1 - np.unique(groups[::-1], return_index=True)[1]
    return np.sort(last[sizes > 1][:count]) if len(numbers) else last
