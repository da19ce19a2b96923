"""The LightningDataModule of duplicate questions: groups become pairs, pairs become batches of bags."""

from functools import cached_property
from typing import Any

import numpy as np

from askagain.corpus.corpus import Corpus
from askagain.corpus.pairs import pairs_of_groups
from askagain.text.features import Features
from askagain.training.batches import DuplicateCollator
from askagain.training.held_out import HeldOut


class DuplicateQuestions(HeldOut):
    """Pairs of duplicates from a corpus.

    `features_kind`, `min_count`, `max_words`, `max_trigrams`: see `Features.from_word_bags`; they are counted on the
    groups. `pairs`, `max_pairs_per_group`: see `pairs_of_groups`. The rest: see `HeldOut`; whole groups are held out.
    Everything is read when it is first asked for, and raises InputError where it cannot be.
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
        super().__init__(corpus, validation_fraction, batch_size, num_workers, seed)
        self._features_settings = (features_kind, min_count, max_words, max_trigrams)
        self.pairs = pairs
        self.max_pairs_per_group = max_pairs_per_group

    @cached_property
    def features(self) -> Features:
        """The features of the corpus' duplicate groups."""
        return Features.from_word_bags(self.corpus.groups.words(self.corpus.preprocessor), *self._features_settings)

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
            "pairs_an_epoch": len(self.draw(self.split[0], 0)[0]),
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

    def unit_count(self) -> int:
        """Groups of duplicates."""
        return len(self.corpus.groups.rows)

    def draw(self, units: np.ndarray, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        """The pairs of some groups in an epoch: [pairs, 2] text indices and [pairs] group ids."""
        rows = self.corpus.groups.rows.take(units)
        pairs, group = pairs_of_groups(rows, self.pairs, self.max_pairs_per_group, self.seed, epoch)
        return pairs, units[group]

    def collator(self) -> DuplicateCollator:
        """Cuts the bags of both sides out of the token store."""
        return DuplicateCollator(self.corpus.groups.features(self.corpus.preprocessor, self.features))
