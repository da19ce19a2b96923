"""The LightningDataModule of distillation: texts, labelled or not, and the vectors that a teacher gives them."""

from functools import cached_property
from typing import Any

import numpy as np

from askagain.corpus.corpus import Corpus
from askagain.corpus.pairs import pairs_of_groups
from askagain.corpus.text_union import TextUnion
from askagain.files.arrays import read_at_random
from askagain.text.bags import Bags
from askagain.text.features import Features, FeatureSettings
from askagain.text.fields import readable
from askagain.training.data.batches import DistillationCollator
from askagain.training.data.datamodule import BagDataModule
from askagain.training.data.teacher import Teacher, WordList, teacher_vectors, teacher_words
from askagain.training.starts import Initializer

LONGEST_WORD = 2.0  # a row that starts from the teacher's vector of a word that no text has; random ones: 0.4
HALVED_AT = 0.01  # the share of all words at which such a row is half as long


class DistillationDataModule(BagDataModule):
    """The texts of `train.tsv` and `corpus.txt` with a teacher's vectors, and pairs if there are groups.

    Either file suffices; texts of other sites may stand beside them, see `Corpus.all_texts`. Single texts are held out,
    and then no text that is made of them is learned from.

    Few texts are helped by more of them, and by what the teacher knows of words: texts that are made of two texts each,
    which the teacher embeds as well, and the words that the teacher knows as a whole. Where the latter are wanted, each
    known word's row starts from the teacher's vector of the word alone, shorter for frequent words.

    Source of that weight: Arora, Liang, Ma, "A Simple but Tough-to-Beat Baseline for Sentence Embeddings", ICLR 2017.

    Args:
        corpus: the texts.
        features: which features are counted, on all texts.
        teacher, teacher_dtype: see `teacher_vectors`.
        made_texts: how many texts are made, see `Corpus.recombined`.
        teacher_words: whether the teacher's words are known too, and rows start from its vectors of words.
        max_pairs_per_group: bound on the random pairs of a group, see `pairs_of_groups`.
        validation_fraction, batch_size, seed: see `BagDataModule`; a batch is of texts.
        start: what rows of the table start from, whose features may be known beside those of the texts.
    """

    resample = True  # duplicates

    examples_are = "texts"

    def __init__(
        self,
        corpus: Corpus,
        teacher: Teacher,
        features: FeatureSettings,
        teacher_dtype: str = "float16",
        made_texts: int = 0,
        teacher_words: bool = False,
        max_pairs_per_group: int | None = 30,
        validation_fraction: float = 0.05,
        batch_size: int = 512,
        seed: int = 0,
        start: Initializer | None = None,
    ) -> None:
        super().__init__(corpus, validation_fraction, batch_size, seed)
        self.start = start
        self.teacher = teacher
        self.teacher_dtype = teacher_dtype
        self.feature_settings = features
        self.made_texts = made_texts
        self.teacher_words = teacher_words
        self.max_pairs_per_group = max_pairs_per_group

    @cached_property
    def own_texts(self) -> TextUnion:
        """The texts of the corpus, those of the groups first, then those of other sites."""
        return self.corpus.all_texts

    @cached_property
    def texts(self) -> TextUnion:
        """The same texts, then those that are made of them."""
        if not self.made_texts:
            return self.own_texts
        return TextUnion([*self.own_texts.stores, self.corpus.recombined(self.made_texts)[0]])

    @cached_property
    def features(self) -> Features:
        """Counted on the own texts; with `teacher_words` the words of the teacher are known beside those."""
        counted = self.own_texts.count_features(self.corpus.preprocessor, self.feature_settings)
        if self.start is not None:
            counted = self.start.extended(counted, self.feature_settings)
        if not self.teacher_words or not len(counted.vocabulary):
            return counted
        words = self._words_of_teacher
        read = self.corpus.preprocessor.words_of_all(words)[1] == 1  # by the preprocessor, as the word that they are
        return counted.with_further([word for word, is_word in zip(words, read.tolist(), strict=True) if is_word])

    @cached_property
    def vectors(self) -> np.ndarray:
        """The teacher's vectors, [texts, dim]: of the own texts, then of those that are made of them."""
        own = teacher_vectors(self.teacher, self.own_texts, self.teacher_dtype)
        return own if not self.made_texts else teacher_vectors(self.teacher, self.texts, self.teacher_dtype, first=own)

    def model_inputs(self) -> dict[str, Any]:
        preprocessor, dim = self.corpus.preprocessor, self.vectors.shape[1]
        inputs = {"preprocessor": preprocessor, "features": self.features, "idf": self.idf, "dim": dim}
        inputs["start"] = self.start
        starts_words = self.teacher_words and len(self.features.vocabulary)
        return inputs | ({"word_rows": self.word_rows} if starts_words else {})

    def idf(self) -> np.ndarray:
        """The weight of each feature, counted on the own texts; see `inverse_document_frequencies`."""
        return self.own_texts.idf(self.corpus.preprocessor, self.features)

    def word_rows(self) -> np.ndarray:
        """What the rows of known words start from, [words, dim] float32."""
        words = self.features.vocabulary
        vectors = self._vectors_of_words([readable(word) for word in words.words])
        vectors -= vectors.mean(axis=0)
        vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), np.finfo(np.float32).tiny)
        counted = self.own_texts.words(self.corpus.preprocessor)
        shares = np.zeros(len(words))
        places = words.indices(counted.words)
        shares[places[places >= 0]] = counted.counts[places >= 0] / max(1, counted.total)
        lengths = LONGEST_WORD * HALVED_AT / (HALVED_AT + shares)
        return vectors * lengths[:, np.newaxis].astype(np.float32)

    @cached_property
    def _words_of_teacher(self) -> list[str]:
        return teacher_words(self.teacher, self.own_texts.cache)

    def _vectors_of_words(self, words: list[str]) -> np.ndarray:
        """The teacher's vectors of words alone, [words, dim] float32; those that it knows are embedded but once."""
        theirs = {word: place for place, word in enumerate(self._words_of_teacher)}
        others = list(dict.fromkeys(word for word in words if word not in theirs))
        places = theirs | {word: len(theirs) + place for place, word in enumerate(others)}
        lists = [WordList(part, self.own_texts.cache) for part in (list(theirs), others) if part]
        vectors = np.concatenate([teacher_vectors(self.teacher, part, self.teacher_dtype) for part in lists])
        return vectors[[places[word] for word in words]].astype(np.float32)

    def counts(self) -> dict[str, float]:
        counts = {
            "texts": len(self.own_texts),
            "made_texts": len(self.texts) - len(self.own_texts),
            "texts_with_duplicate": int((self.draw(np.arange(len(self.own_texts)), 0)[1] >= 0).sum()),
            "held_out_texts": len(self.split[1]),
            "skipped_rows": sum(store.skipped for store in [*self.own_texts.stores, self.ranking("validation")]),
            **({} if self.corpus.files.train is None else self.corpus.shared_with_training()),
            "known_words": len(self.features.vocabulary),
            "known_ngrams": self.features.tokenizer.vocab_size,
            "known_word_pairs": len(self.features.pairs),
            "teacher_dim": self.vectors.shape[1],
        }
        return counts | self.corpus.ranking_counts(self.features.vocabulary)

    def description(self) -> str:
        return ", ".join(str(store.path) for store in self.own_texts.stores)

    def source_count(self) -> int:
        return len(self.own_texts)

    @cached_property
    def split(self) -> tuple[np.ndarray, np.ndarray]:
        """Own texts are held out; made ones are learned from where both texts that they are made of are."""
        learned, held_out = super().split
        if not self.made_texts:
            return learned, held_out
        made, parents = self.corpus.recombined(self.made_texts)
        first_row = np.full(len(made.texts), -1)
        first_row[made.rows.ids[::-1]] = np.arange(len(made.rows))[::-1]
        own = np.zeros(len(self.own_texts), dtype=bool)
        own[learned] = True
        of_learned = own[parents].all(axis=1)[first_row[self.texts.new_of(-1)]]
        return np.concatenate([learned, len(own) + np.flatnonzero(of_learned)]), held_out

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
