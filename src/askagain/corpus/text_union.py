"""The distinct texts of several token stores as one sequence: all that a corpus has, labelled or not."""

from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import TypeVar

import numpy as np

from askagain.corpus.token_store import TEXTS_A_BLOCK, TokenStore, load_idf, save_idf
from askagain.text.bags import Bags, offsets_of
from askagain.text.features import Features, FeatureSettings
from askagain.text.idf import inverse_document_frequencies
from askagain.text.preprocessor import TextPreprocessor
from askagain.text.token_words import all_words
from askagain.text.vocabulary import WordVocabulary

Loaded = TypeVar("Loaded")


class TextUnion:
    """All texts of the first store, then those of each further store that are in none before it.

    So the number of a text of the first store is its number here too. `stores`: one or more.
    """

    def __init__(self, stores: Sequence[TokenStore]) -> None:
        self.stores = list(stores)
        self._new = self.entry("union", {}, self._find_new, self._load_new)
        self._offsets = offsets_of(np.array([len(new) for new in self._new]))

    def __len__(self) -> int:
        return int(self._offsets[-1])

    def texts(self, start: int, stop: int) -> list[str]:
        """The texts from `start` up to `stop`."""
        found = []
        for store, new, offset in zip(self.stores, self._new, self._offsets.tolist(), strict=False):
            found += [store.texts[i] for i in new[max(0, start - offset) : max(0, stop - offset)].tolist()]
        return found

    def entry(
        self,
        kind: str,
        key: dict[str, object],
        build: Callable[[Path], None],
        load: Callable[[Path], Loaded],
        resumable: bool = False,
    ) -> Loaded:
        """An entry of the cache that depends on the files of all stores and on `key`; see `Cache.entry`."""
        key = key | {"further": [store.key for store in self.stores[1:]]}
        return self.stores[0].entry(kind, key, build, load, resumable)

    def count_features(self, preprocessor: TextPreprocessor, settings: FeatureSettings) -> Features:
        """The features of the texts of all stores"""

        def texts(vocabulary: WordVocabulary) -> Iterator[Bags]:
            return chain.from_iterable(store.numbered_texts(preprocessor, vocabulary) for store in self.stores)

        def build(folder: Path) -> None:
            words = all_words([store.words(preprocessor) for store in self.stores])
            Features.from_words(words, settings, texts).save(folder)

        key = {"preprocessor": preprocessor.fingerprint, **settings.as_key()}
        return self.entry("vocabulary", key, build, lambda folder: Features.load(folder, settings.kind))

    def features(self, preprocessor: TextPreprocessor, features: Features) -> Bags:
        """The feature ids of each text, in rising order."""
        parts = [s.features(preprocessor, features).take(new) for s, new in zip(self.stores, self._new, strict=True)]
        lengths = np.concatenate([part.lengths for part in parts])
        return Bags(np.concatenate([part.ids for part in parts]), offsets_of(lengths))

    def idf(self, preprocessor: TextPreprocessor, features: Features) -> np.ndarray:
        """What each feature weighs, [features.size] float32, counted over the distinct texts of all stores."""
        key: dict[str, object] = {"preprocessor": preprocessor.fingerprint, "features": features.fingerprint}

        def blocks() -> Iterator[Bags]:
            for store, new in zip(self.stores, self._new, strict=True):
                bags = store.features(preprocessor, features)
                for start in range(0, len(new), TEXTS_A_BLOCK):
                    yield bags.take(new[start : start + TEXTS_A_BLOCK])

        def build(folder: Path) -> None:
            save_idf(folder, inverse_document_frequencies(blocks(), features.size))

        return self.entry("idf", key, build, lambda folder: load_idf(folder, features.size))

    def _find_new(self, folder: Path) -> None:
        known: set[str] = set()
        for number, store in enumerate(self.stores):
            new = [i for i, text in enumerate(store.texts) if text not in known]
            np.save(folder / f"{number}.npy", np.array(new, dtype=np.int32), allow_pickle=False)
            if store is not self.stores[-1]:
                known.update(store.texts)

    def _load_new(self, folder: Path) -> list[np.ndarray]:
        """The numbers, in each store, of the texts that are in none before it."""
        return [np.load(folder / f"{number}.npy", allow_pickle=False) for number in range(len(self.stores))]
