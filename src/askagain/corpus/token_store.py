"""Distinct texts, their words and their feature ids as flat arrays on disk, each built once and then memory-mapped.

Three layers, each keyed by what it depends on: the rows of a file (content, how bad rows are treated), their words
(rows, preprocessor), their feature ids (words, vocabulary).
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import overload

import numpy as np

from askagain.corpus.cache import Cache, content_digest
from askagain.corpus.tsv import read_rows
from askagain.files.opened import refuse_unreadable
from askagain.files.progress import with_progress
from askagain.text.bags import Bags, offsets_of
from askagain.text.features import Features
from askagain.text.preprocessor import TextPreprocessor
from askagain.text.word_bags import WordBags, word_bags

FORMAT = 1  # Raise it when what is stored changes, so that older entries are not read.


class StoredTexts(Sequence[str]):
    """Texts kept as one array of UTF-8 bytes and one of offsets; a text is decoded when it is asked for."""

    def __init__(self, utf8: Bags) -> None:
        self._utf8 = utf8

    def __len__(self) -> int:
        return len(self._utf8)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: int | slice) -> str | list[str]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        return self._utf8.bag(index % len(self)).tobytes().decode("utf-8")


class TokenStore:
    """What one TSV file holds, as arrays.

    `texts`: its distinct texts. `rows`: one bag of text indices a row, in column order. `skipped`: bad rows left out.
    Raises InputError as `askagain.corpus.tsv.read_rows` does.
    """

    def __init__(
        self, path: Path, min_columns: int, on_bad_row: str, cache: Cache, separator: str | None = "\t"
    ) -> None:
        refuse_unreadable(path)
        self.path = path
        self._cache = cache
        self._key: dict[str, object] = {
            "format": FORMAT,
            "content": content_digest(path),
            "separator": separator,
            "min_columns": min_columns,
            "on_bad_row": on_bad_row,
        }

        def build(folder: Path) -> None:
            read = read_rows(path, min_columns, on_bad_row, separator)
            _save_bags(folder / "rows", read.rows)
            _save_bags(folder / "texts", _utf8(read.texts))
            (folder / "skipped.json").write_text(json.dumps(read.skipped))

        def load(folder: Path) -> tuple[Bags, StoredTexts, int]:
            skipped = json.loads((folder / "skipped.json").read_text())
            return _load_bags(folder / "rows"), StoredTexts(_load_bags(folder / "texts")), skipped

        self.rows, self.texts, self.skipped = cache.entry("rows", self._key, build, load)
        self._words: dict[str, WordBags] = {}

    def words(self, preprocessor: TextPreprocessor) -> WordBags:
        """The words of each distinct text."""
        if preprocessor.fingerprint not in self._words:
            self._words[preprocessor.fingerprint] = self._open_words(preprocessor)
        return self._words[preprocessor.fingerprint]

    def _open_words(self, preprocessor: TextPreprocessor) -> WordBags:
        def build(folder: Path) -> None:
            split = word_bags(with_progress(self.texts, len(self.texts), f"cleaning {self.path.name}"), preprocessor)
            _save_bags(folder / "words", split.bags)
            (folder / "words.json").write_text(json.dumps(split.words, ensure_ascii=False), encoding="utf-8")

        def load(folder: Path) -> WordBags:
            words = json.loads((folder / "words.json").read_text(encoding="utf-8"))
            return WordBags(words, _load_bags(folder / "words"))

        return self._cache.entry("words", self._key | {"preprocessor": preprocessor.fingerprint}, build, load)

    def features(self, preprocessor: TextPreprocessor, features: Features) -> Bags:
        """The feature ids of each distinct text."""

        def build(folder: Path) -> None:
            _save_bags(folder / "features", features.of_texts(self.words(preprocessor)))

        key = self._key | {"preprocessor": preprocessor.fingerprint, "features": features.fingerprint}
        return self._cache.entry("features", key, build, lambda folder: _load_bags(folder / "features"))


def _utf8(texts: Sequence[str]) -> Bags:
    encoded = [text.encode("utf-8") for text in texts]
    lengths = np.fromiter(map(len, encoded), dtype=np.int64, count=len(encoded))
    return Bags(np.frombuffer(b"".join(encoded), dtype=np.uint8), offsets_of(lengths))


def _save_bags(stem: Path, bags: Bags) -> None:
    np.save(stem.with_suffix(".ids.npy"), bags.ids, allow_pickle=False)
    np.save(stem.with_suffix(".offsets.npy"), bags.offsets, allow_pickle=False)


def _load_bags(stem: Path) -> Bags:
    ids, offsets = (
        np.load(stem.with_suffix(suffix), mmap_mode="r", allow_pickle=False) for suffix in (".ids.npy", ".offsets.npy")
    )
    if offsets[0] != 0 or offsets[-1] != len(ids):
        raise ValueError("ids and offsets do not belong together")
    return Bags(ids, offsets)
