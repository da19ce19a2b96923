"""The distinct texts of several token stores as one sequence: all that a corpus has, labelled or not."""

from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path

import numpy as np

from askagain.corpus.feature_source import FeatureSource
from askagain.corpus.hash_index import HashIndex
from askagain.corpus.token_store import TEXTS_PER_BLOCK, TokenStore
from askagain.files.arrays import load_array
from askagain.text.bags import Bags, offsets_of
from askagain.text.features import Features
from askagain.text.preprocessor import TextPreprocessor
from askagain.text.token_words import TokenWords, all_words
from askagain.text.vocabulary import WordVocabulary


class TextUnion(FeatureSource):
    """All texts of the first store, then the texts of each further store that are in none before it.

    A text of the first store keeps its index. `stores`: one or more.
    """

    def __init__(self, stores: Sequence[TokenStore]) -> None:
        self.stores = list(stores)
        first, *further = self.stores
        cache = first.cache.under({"further": [store.cache.key for store in further]})
        super().__init__(cache, ", ".join(store.name for store in self.stores))
        self._new = self.cache.entry("union", {}, self._find_new, self._load_new)
        self._offsets = offsets_of(np.array([len(new) for new in self._new]))

    def __len__(self) -> int:
        return int(self._offsets[-1])

    def texts(self, start: int, stop: int) -> list[str]:
        """The texts from `start` up to `stop`."""
        texts = []
        for store, new, offset in zip(self.stores, self._new, self._offsets.tolist(), strict=False):
            texts += [store.texts[i] for i in new[max(0, start - offset) : max(0, stop - offset)].tolist()]
        return texts

    def new_of(self, number: int) -> np.ndarray:
        """The texts of a store that are in none before it, as indices in the store; they stand one after the other."""
        return self._new[number]

    def words(self, preprocessor: TextPreprocessor) -> TokenWords:
        return all_words([store.words(preprocessor) for store in self.stores])

    def numbered_texts(self, preprocessor: TextPreprocessor, vocabulary: WordVocabulary) -> Iterator[Bags]:
        return chain.from_iterable(store.numbered_texts(preprocessor, vocabulary) for store in self.stores)

    def features(self, preprocessor: TextPreprocessor, features: Features) -> Bags:
        parts = [s.features(preprocessor, features).take(new) for s, new in zip(self.stores, self._new, strict=True)]
        return Bags.concatenated(parts)

    def _feature_blocks(self, preprocessor: TextPreprocessor, features: Features) -> Iterator[Bags]:
        for store, new in zip(self.stores, self._new, strict=True):
            bags = store.features(preprocessor, features)
            for start in range(0, len(new), TEXTS_PER_BLOCK):
                yield bags.take(new[start : start + TEXTS_PER_BLOCK])

    def _find_new(self, folder: Path) -> None:
        known = HashIndex()  # of texts, which are distinct within a store
        for number, store in enumerate(self.stores):
            _, new = known.number(store.hashes)
            np.save(folder / f"{number}.npy", new.astype(np.int32), allow_pickle=False)

    def _load_new(self, folder: Path) -> list[np.ndarray]:
        """The indices, in each store, of the texts that are in none before it."""
        return [load_array(folder / f"{number}.npy") for number in range(len(self.stores))]
