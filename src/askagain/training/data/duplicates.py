"""The LightningDataModule of duplicate questions: groups become pairs, pairs become batches of bags."""

import hashlib
from collections.abc import Callable
from concurrent.futures import Future
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader

from askagain.corpus.corpus import Corpus
from askagain.corpus.pairs import pairs_of_groups
from askagain.corpus.text_union import TextUnion
from askagain.corpus.token_store import TokenStore
from askagain.errors import InputError
from askagain.files.arrays import load_array
from askagain.files.beside import beside
from askagain.text.bags import Bags
from askagain.text.features import Features, FeatureSettings
from askagain.training.data.batches import DuplicateCollator, HardNegatives
from askagain.training.data.datamodule import BagDataModule
from askagain.training.data.resident import PairNumbers, PairNumbersCollator, ResidentBags, ResidentPairs
from askagain.training.data.sampling import EpochExamples
from askagain.training.starts import Initializer

MOST_BESIDE = 1 << 24  # texts, whose first pairs are drawn while their features are counted
ROOM = 4  # times the memory that resident features take has to be free on a GPU when training begins


class DuplicatesDataModule(BagDataModule):
    """Pairs of duplicate questions from the groups of a corpus; whole groups are held out.

    Args:
        corpus: the texts.
        features: which features are counted, on the texts of the groups.
        count_unlabelled: count features on `corpus.txt` as well. A feature that occurs only there is never trained,
            but it tells texts that share it from those that do not.
        pairs, max_pairs_per_group: how a group becomes pairs, see `pairs_of_groups`.
        validation_fraction, batch_size, seed: see `BagDataModule`; a batch is of pairs.
        start: what rows of the table start from, whose features may be known beside those of the texts.
        resident: Keep the features of all texts on the device and cut batches there, but for those with hard negatives
            (None: on a GPU that has several times the room that they take).
    """

    examples_are = "pairs"

    def __init__(
        self,
        corpus: Corpus,
        features: FeatureSettings,
        count_unlabelled: bool = True,
        pairs: str = "random",
        max_pairs_per_group: int | None = 30,
        validation_fraction: float = 0.05,
        batch_size: int = 512,
        seed: int = 0,
        start: Initializer | None = None,
        resident: bool | None = None,
    ) -> None:
        super().__init__(corpus, validation_fraction, batch_size, seed)
        self.feature_settings = features
        self.start = start
        self.resident = resident
        self._on_device: ResidentBags | None = None
        self._drawn_beside: Future[EpochExamples] | None = None
        self.count_unlabelled = count_unlabelled
        self.pairs = pairs
        self.max_pairs_per_group = max_pairs_per_group
        self.resample = pairs == "random"
        self.hard_negatives: HardNegatives | None = None  # of the epoch, for training batches only

    @cached_property
    def features(self) -> Features:
        self._draw_beside()
        counted = self._counted.count_features(self.corpus.preprocessor, self.feature_settings)
        return counted if self.start is None else self.start.extended(counted, self.feature_settings)

    @property
    def _counted(self) -> TokenStore | TextUnion:
        return self.pool if self.count_unlabelled and self.corpus.unlabelled is not None else self.corpus.groups

    @cached_property
    def pool(self) -> TextUnion:
        """The texts that hard negatives are mined from: those of the groups, then those of `corpus.txt`."""
        return self.corpus.own_texts

    @cached_property
    def pool_bags(self) -> Bags:
        """The feature ids of the pool's texts."""
        return self.pool.features(self.corpus.preprocessor, self.features)

    @cached_property
    def groups_of_pool(self) -> np.ndarray:
        """The group number of each text of the pool, [pool] int32; see `joined_groups`."""
        groups = self.corpus.group_of_text  # of the pool's first texts; each further one is a group of its own
        others = groups.max() + 1 + np.arange(len(self.pool) - len(groups), dtype=groups.dtype)
        return np.concatenate([groups, others])

    def model_inputs(self) -> dict[str, Any]:
        parts = {"preprocessor": self.corpus.preprocessor, "features": self.features, "idf": self.idf}
        return parts | {"start": self.start}

    def idf(self) -> np.ndarray:
        """The weight of each feature, counted on the same texts; see `inverse_document_frequencies`."""
        return self._counted.idf(self.corpus.preprocessor, self.features)

    def counts(self) -> dict[str, float]:
        groups = self.corpus.groups
        words = groups.words(self.corpus.preprocessor)
        ranking = self.ranking("validation")
        stores = [groups, ranking, self.corpus.unlabelled]
        counts = {
            "groups": len(self.corpus.group_rows),
            "texts": len(groups.texts),
            "pairs_an_epoch": len(self.train_examples),
            "held_out_groups": len(self.split[1]),
            "skipped_rows": sum(store.skipped for store in stores if store is not None),
            "words": len(words.words),
            "words_a_text": words.total / len(groups.texts),
            "known_words": len(self.features.vocabulary),
            "known_ngrams": self.features.tokenizer.vocab_size,
            "known_word_pairs": len(self.features.pairs),
            **self.corpus.ranking_counts(self.features.vocabulary),
            **self.corpus.shared_with_training(),
            "validation_texts_without_feature": int((self._feature_ids(ranking).lengths == 0).sum()),
        }
        if self.corpus.unlabelled is not None:
            counts["unlabelled_texts"] = len(self.corpus.unlabelled.texts)
        return counts

    def description(self) -> str:
        return str(self.corpus.groups.path)

    def source_count(self) -> int:
        return len(self.corpus.group_rows)

    def prepare_data(self) -> None:
        super().prepare_data()
        self._feature_ids(self.corpus.groups)
        if not self.resample:
            _ = self.train_examples

    def train_dataloader(self) -> DataLoader:
        """As in `BagDataModule`; raises InputError if no group has two different questions."""
        loader = super().train_dataloader()
        if not len(loader):
            raise InputError(f"{self.corpus.groups.path}: no group with two different questions to train on")
        return loader

    def _draw_beside(self) -> None:
        """Begins to draw the pairs of the first epoch, beside what features take.

        Of a large corpus they are drawn when they are asked for, since either takes memory.
        """
        if self._drawn_beside is None and len(self.corpus.groups.texts) <= MOST_BESIDE:
            self._drawn_beside = beside(lambda: super(DuplicatesDataModule, self).train_examples)

    @cached_property
    def train_examples(self) -> EpochExamples:
        return super().train_examples if self._drawn_beside is None else self._drawn_beside.result()

    def draw(self, sources: np.ndarray, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        """The pairs that the given groups form in an epoch, and the group of each pair; see `pairs_of_groups`.

        Pairs that are the same in every epoch are kept in the cache.
        """
        rows = self.corpus.group_rows
        settings = (self.pairs, self.max_pairs_per_group, self.seed)
        if self.resample:
            return pairs_of_groups(rows, sources, *settings, epoch)

        def build(folder: Path) -> None:
            pairs, groups = pairs_of_groups(rows, sources, *settings)
            np.save(folder / "pairs.npy", pairs, allow_pickle=False)
            np.save(folder / "groups.npy", groups, allow_pickle=False)

        def load(folder: Path) -> tuple[np.ndarray, np.ndarray]:
            pairs, groups = (load_array(folder / name, "r") for name in ("pairs.npy", "groups.npy"))
            if pairs.shape != (len(groups), 2):
                raise ValueError("pairs and groups differ in length")
            return pairs, groups

        drawn_from = hashlib.sha256(sources.tobytes()).hexdigest()
        key: dict[str, object] = {"groups": drawn_from, "joined": self.corpus.join_groups, "settings": list(settings)}
        return self.corpus.groups.cache.entry("pairs", key, build, load)

    def collator(self, training: bool) -> Callable:
        """Makes batches, or the numbers of their pairs; only training batches get hard negatives."""
        bags = self._feature_ids(self.corpus.groups)
        cut_here = DuplicateCollator(bags, lambda: self.hard_negatives if training else None)
        if not self._is_resident(bags):
            return cut_here
        numbers = PairNumbersCollator(bags)
        return lambda pairs: cut_here(pairs) if training and self.hard_negatives is not None else numbers(pairs)

    def _is_resident(self, bags: Bags) -> bool:
        device = torch.device("cpu") if self.trainer is None else self.trainer.strategy.root_device
        if self.resident is not None or device.type != "cuda":
            return bool(self.resident)
        free, _ = torch.cuda.mem_get_info(device)
        return ROOM * ResidentBags.nbytes(bags) < free

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        """Adds to pairs that were not cut here what they are cut out of there."""
        if not isinstance(batch, PairNumbers):
            return super().transfer_batch_to_device(batch, device, dataloader_idx)
        if self._on_device is None or self._on_device.ids.device != device:
            self._on_device = ResidentBags(self._feature_ids(self.corpus.groups), device)
        return ResidentPairs(batch, self._on_device)

    def teardown(self, stage: str) -> None:
        """Frees the memory of the device."""
        self._on_device = None

    def _feature_ids(self, store: TokenStore) -> Bags:
        return store.features(self.corpus.preprocessor, self.features)
