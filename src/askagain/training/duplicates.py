"""The LightningDataModule of duplicate questions: groups become pairs, pairs become batches of bags."""

from functools import cached_property
from typing import Any

import numpy as np
from pytorch_lightning import LightningDataModule
from sklearn.model_selection import train_test_split
from torch.utils.data import DataLoader

from askagain.corpus.corpus import Corpus
from askagain.corpus.pairs import pairs_of_groups
from askagain.corpus.token_store import TokenStore
from askagain.errors import InputError
from askagain.text.bags import Bags
from askagain.text.features import Features
from askagain.training.batches import BatchOrder, DuplicateCollator, EpochExamples, batch_loader, ranks_of


class DuplicateQuestions(LightningDataModule):
    """Pairs of duplicates from a corpus.

    `features_kind`, `min_count`, `max_words`, `max_trigrams`: see `Features.from_word_bags`; they are counted on the
    groups. `pairs`, `max_pairs_per_group`: see `pairs_of_groups`. `validation_fraction`: the share of groups that is
    held out for the validation loss, 0 for none. `batch_size`: pairs in a batch, on each device. `seed` fixes the
    held-out groups, the pairs and their order. Everything is read when it is first asked for, and raises InputError
    where it cannot be.
    """

    def __init__(
        self,
        corpus: Corpus,
        features_kind: str = "words_trigrams",
        min_count: int = 1,
        max_words: int | None = None,
        max_trigrams: int | None = None,
        pairs: str = "random",
        max_pairs_per_group: int | None = 30,
        validation_fraction: float = 0.05,
        batch_size: int = 512,
        num_workers: int = 0,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if not 0 <= validation_fraction < 1:
            raise InputError(f"data.validation_fraction={validation_fraction}: must be at least 0 and below 1")
        if batch_size < 1:
            raise InputError(f"data.batch_size={batch_size}: must be at least 1")
        self.corpus = corpus
        self._features_settings = (features_kind, min_count, max_words, max_trigrams)
        self.pairs = pairs
        self.max_pairs_per_group = max_pairs_per_group
        self.validation_fraction = validation_fraction
        self.batch_size = batch_size
        self.num_workers = num_workers
        self.seed = seed

    @cached_property
    def features(self) -> Features:
        """The features of the corpus' duplicate groups."""
        return Features.from_word_bags(self.corpus.groups.words(self.corpus.preprocessor), *self._features_settings)

    @cached_property
    def split(self) -> tuple[np.ndarray, np.ndarray]:
        """The groups trained on and the groups held out, by index."""
        groups = np.arange(len(self.corpus.groups.rows))
        held_out = round(self.validation_fraction * len(groups))
        if held_out in (0, len(groups)):
            return groups, groups[:0]
        return tuple(train_test_split(groups, test_size=held_out, random_state=self.seed))

    def ranking(self, split: str) -> TokenStore:
        """The ranking set `validation` or `test`."""
        return self.corpus.ranking(split)

    def model_inputs(self) -> dict[str, Any]:
        """What a model is made from, beside its own settings."""
        return {"preprocessor": self.corpus.preprocessor, "features": self.features}

    def counts(self) -> dict[str, float]:
        """What is in the data: groups, texts, pairs, words, features, and how much of the ranking set is known."""
        groups = self.corpus.groups
        words = groups.words(self.corpus.preprocessor)
        ranking = self.ranking("validation")
        ranking_words = ranking.words(self.corpus.preprocessor)
        ranking_bags = ranking.features(self.corpus.preprocessor, self.features)
        counts = {
            "groups": len(groups.rows),
            "texts": len(groups.texts),
            "pairs_an_epoch": len(self._draw(self.split[0], 0)[0]),
            "held_out_groups": len(self.split[1]),
            "skipped_rows": groups.skipped + ranking.skipped,
            "words": len(words.words),
            "words_a_text": len(words.bags.ids) / len(words.bags),
            "features": self.features.size,
            "known_words": len(self.features.vocabulary),
            "known_trigrams": self.features.tokenizer.vocab_size,
            "validation_rows": len(ranking.rows),
            "validation_texts": len(ranking.texts),
            "validation_known_words": ranking_words.known_share(self.features.vocabulary),
            "validation_texts_without_feature": int((ranking_bags.lengths == 0).sum()),
        }
        if self.corpus.unlabelled is not None:
            counts["unlabelled_texts"] = len(self.corpus.unlabelled.texts)
        return counts

    def train_dataloader(self) -> DataLoader:
        """Batches of pairs of the groups trained on, drawn and shuffled anew every epoch."""
        return self._loader(self.split[0], shuffle=True)

    def val_dataloader(self) -> DataLoader | list:
        """Batches of pairs of the held-out groups, the same every epoch and on every rank; none held out, none here."""
        return self._loader(self.split[1], shuffle=False) if len(self.split[1]) else []

    def _loader(self, groups: np.ndarray, shuffle: bool) -> DataLoader:
        examples = EpochExamples(lambda epoch: self._draw(groups, epoch))
        if not len(examples):
            raise InputError(f"{self.corpus.groups.path}: no pair of different questions to train on")
        ranks = ranks_of(self.trainer) if shuffle else {}
        order = BatchOrder(examples, self.batch_size, shuffle, self.seed, **ranks)
        return batch_loader(examples, order, DuplicateCollator(self._bags), self.num_workers)

    @cached_property
    def _bags(self) -> Bags:
        return self.corpus.groups.features(self.corpus.preprocessor, self.features)

    def _draw(self, groups: np.ndarray, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        rows = self.corpus.groups.rows.take(groups)
        pairs, group = pairs_of_groups(rows, self.pairs, self.max_pairs_per_group, self.seed, epoch)
        return pairs, groups[group]
