"""The LightningDataModule of pairs of duplicate questions as texts, for a model that reads texts itself."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from torch.utils.data import DataLoader

from askagain.corpus.corpus import Corpus
from askagain.corpus.groups import joined_groups
from askagain.corpus.pairs import pairs_of_groups
from askagain.corpus.token_store import TokenStore
from askagain.errors import InputError
from askagain.text.bags import Bags, offsets_of
from askagain.text.fields import readable
from askagain.training.data.batches import TextPairBatch
from askagain.training.data.datamodule import BagDataModule


@dataclass(frozen=True, eq=False)
class RankingSample:
    """Rows of a ranking set with other candidates; as in a `TokenStore`, `rows` are bags of indices into `texts`."""

    path: Path
    texts: Sequence[str]
    rows: Bags


class TextPairsDataModule(BagDataModule):
    """Pairs of duplicate questions from the groups of a corpus, drawn anew every epoch; whole groups are held out.

    A model that reads texts takes minutes for a whole ranking set. So `ranking` gives a sample of the set `validation`,
    whose rows are ranked among the questions and duplicates of each other: few texts, and as hard as random candidates.

    Args:
        corpus: the texts.
        max_pairs_per_group: bound on the random pairs of a group, see `pairs_of_groups`.
        sample_rows: the most validation rows in the sample.
        validation_fraction, batch_size, seed: see `BagDataModule`; a batch is of pairs.
    """

    examples_are = "pairs"
    resample = True

    def __init__(
        self,
        corpus: Corpus,
        max_pairs_per_group: int | None = 30,
        sample_rows: int = 500,
        validation_fraction: float = 0.05,
        batch_size: int = 64,
        seed: int = 0,
    ) -> None:
        super().__init__(corpus, validation_fraction, batch_size, seed)
        self.max_pairs_per_group = max_pairs_per_group
        self.sample_rows = sample_rows

    def source_count(self) -> int:
        return len(self.corpus.group_rows)

    def draw(self, sources: np.ndarray, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        """The pairs that the given groups form in an epoch, and the group of each pair; see `pairs_of_groups`."""
        rows = self.corpus.group_rows
        return pairs_of_groups(rows, sources, "random", self.max_pairs_per_group, self.seed, epoch)

    def collator(self, training: bool) -> Callable[[tuple[np.ndarray, np.ndarray]], TextPairBatch]:
        texts = self.corpus.groups.texts

        def collate(examples: tuple[np.ndarray, np.ndarray]) -> TextPairBatch:
            pairs, groups = examples
            return TextPairBatch([readable(texts[text]) for text in pairs.T.ravel().tolist()], groups)

        return collate

    def train_dataloader(self) -> DataLoader:
        """As in `BagDataModule`; raises InputError if no group has two different questions."""
        loader = super().train_dataloader()
        if not len(loader):
            raise InputError(f"{self.description()}: no group with two different questions to train on")
        return loader

    def ranking(self, split: str) -> TokenStore:
        """The sample of the set `validation`, or all of the set `test`; raises InputError if the corpus has none."""
        return self.sample if split == "validation" else super().ranking(split)  # type: ignore[return-value]

    @cached_property
    def sample(self) -> RankingSample:
        """Validation rows, the candidates of each being the questions and duplicates of the others.

        Rows that share a text are of one group, and no candidates for each other.
        """
        ranking = self.corpus.ranking("validation")
        count = len(ranking.rows)
        drawn = np.random.default_rng(self.seed).permutation(count)[: self.sample_rows]
        pairs = np.stack([ranking.rows.bag(row)[:2] for row in np.sort(drawn)])  # [rows, 2]
        used, pairs = np.unique(pairs, return_inverse=True)
        pairs = pairs.reshape(-1, 2)
        groups = joined_groups(Bags(pairs.ravel(), np.arange(len(pairs) + 1) * 2), len(used))
        rows = [np.concatenate([pair, np.flatnonzero(groups != groups[pair[0]])]) for pair in pairs]
        bags = Bags(np.concatenate(rows), offsets_of(np.array([len(row) for row in rows])))
        return RankingSample(ranking.path, [ranking.texts[text] for text in used.tolist()], bags)

    def model_inputs(self) -> dict[str, Any]:
        return {}

    def counts(self) -> dict[str, float]:
        groups, ranking = self.corpus.groups, self.corpus.ranking("validation")
        return {
            "groups": len(self.corpus.group_rows),
            "texts": len(groups.texts),
            "pairs_an_epoch": len(self.train_examples),
            "held_out_groups": len(self.split[1]),
            "skipped_rows": groups.skipped + ranking.skipped,
            "validation_rows": len(ranking.rows),
            "validation_texts": len(ranking.texts),
            "sample_rows": len(self.sample.rows),
            "sample_texts": len(self.sample.texts),
            **self.corpus.shared_with_training(),
        }

    def description(self) -> str:
        return str(self.corpus.groups.path)
