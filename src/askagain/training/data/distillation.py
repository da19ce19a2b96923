"""The LightningDataModule of distillation: texts, labelled or not, and the vectors that a teacher gives them."""

from functools import cached_property
from typing import Any

import numpy as np

from askagain.corpus.corpus import Corpus
from askagain.corpus.pairs import pairs_of_groups
from askagain.corpus.text_union import TextUnion
from askagain.errors import InputError
from askagain.files.arrays import read_at_random
from askagain.text.bags import Bags
from askagain.text.features import Features, FeatureSettings
from askagain.training.data.batches import DistillationCollator
from askagain.training.data.datamodule import BagDataModule
from askagain.training.data.teacher import Teacher, teacher_vectors


class DistillationDataModule(BagDataModule):
    """The texts of `train.tsv` and `corpus.txt` with a teacher's vectors, and pairs if there are groups.

    Either file suffices. Single texts are held out.

    Args:
        corpus: the texts.
        features: which features are counted, on both files.
        teacher, teacher_dtype: see `teacher_vectors`.
        max_pairs_per_group: bound on the random pairs of a group, see `pairs_of_groups`.
        validation_fraction, batch_size, seed: see `BagDataModule`; a batch is of texts.
    """

    resample = True  # duplicates

    examples_are = "texts"

    def __init__(
        self,
        corpus: Corpus,
        teacher: Teacher,
        features: FeatureSettings,
        teacher_dtype: str = "float16",
        max_pairs_per_group: int | None = 30,
        validation_fraction: float = 0.05,
        batch_size: int = 512,
        seed: int = 0,
    ) -> None:
        super().__init__(corpus, validation_fraction, batch_size, seed)
        self.teacher = teacher
        self.teacher_dtype = teacher_dtype
        self.feature_settings = features
        self.max_pairs_per_group = max_pairs_per_group

    @cached_property
    def texts(self) -> TextUnion:
        """All texts, those of the groups first."""
        labelled = None if self.corpus.files.train is None else self.corpus.groups
        stores = [store for store in (labelled, self.corpus.unlabelled) if store is not None]
        if not stores:
            raise InputError("neither train.tsv nor corpus.txt in the corpus; a teacher needs texts to embed")
        return TextUnion(stores)

    @cached_property
    def features(self) -> Features:
        return self.texts.count_features(self.corpus.preprocessor, self.feature_settings)

    @cached_property
    def vectors(self) -> np.ndarray:
        """The teacher's vectors, [texts, dim]."""
        return teacher_vectors(self.teacher, self.texts, self.teacher_dtype)

    def model_inputs(self) -> dict[str, Any]:
        preprocessor, dim = self.corpus.preprocessor, self.vectors.shape[1]
        return {"preprocessor": preprocessor, "features": self.features, "idf": self.idf, "dim": dim}

    def idf(self) -> np.ndarray:
        """The weight of each feature, counted on all texts; see `inverse_document_frequencies`."""
        return self.texts.idf(self.corpus.preprocessor, self.features)

    def counts(self) -> dict[str, float]:
        counts = {
            "texts": len(self.texts),
            "texts_with_duplicate": int((self.draw(np.arange(len(self.texts)), 0)[1] >= 0).sum()),
            "held_out_texts": len(self.split[1]),
            "skipped_rows": sum(store.skipped for store in [*self.texts.stores, self.ranking("validation")]),
            **({} if self.corpus.files.train is None else self.corpus.shared_with_training()),
            "known_words": len(self.features.vocabulary),
            "known_ngrams": self.features.tokenizer.vocab_size,
            "known_word_pairs": len(self.features.pairs),
            "teacher_dim": self.vectors.shape[1],
        }
        return counts | self.corpus.ranking_counts(self.features.vocabulary)

    def description(self) -> str:
        return ", ".join(str(store.path) for store in self.texts.stores)

    def source_count(self) -> int:
        return len(self.texts)

    def prepare_data(self) -> None:
        super().prepare_data()
        _ = self._bags, self.vectors

    def draw(self, sources: np.ndarray, epoch: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The given texts, a random duplicate of each among them (-1: none), and the group of both."""
        partners, groups = (np.full(len(self.texts), -1, dtype=np.int32) for _ in range(2))
        if self.corpus.files.train is not None:
            rows = self.corpus.group_rows
            pairs, group = pairs_of_groups(
                rows, np.arange(len(rows)), "random", self.max_pairs_per_group, self.seed, epoch
            )
            first, second = pairs.T
            given = np.zeros(len(self.texts), dtype=bool)
            given[sources] = True
            kept = given[second]
            partners[first[kept]], groups[first[kept]] = second[kept], group[kept]
        return sources, partners[sources], groups[sources]

    def collator(self, training: bool) -> DistillationCollator:
        read_at_random(self.vectors)
        return DistillationCollator(self._bags, self.vectors)

    @cached_property
    def _bags(self) -> Bags:
        return self.texts.features(self.corpus.preprocessor, self.features)
