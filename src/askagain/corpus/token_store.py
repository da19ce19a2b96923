"""Distinct texts, their tokens and their feature ids as flat arrays on disk, each built once and then memory-mapped.

Layers, each keyed by what it depends on: the texts of a file and their tokens (content, how bad rows are treated), the
tokens' words (preprocessor), the features that there are (what is counted), the texts' feature ids (features) and what
the features weigh. All are built piece by piece, so that memory does not grow with the file but for 15 to 40 bytes a
distinct text.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import NamedTuple, TypeVar, overload

import numpy as np
import polars as pl

from askagain.corpus.cache import Cache
from askagain.corpus.hash_index import HashIndex
from askagain.corpus.tsv import Rows, read_rows
from askagain.files.in_order import in_order
from askagain.files.npy import NpyWriter
from askagain.files.opened import refuse_unreadable
from askagain.files.progress import progress_bar, with_progress
from askagain.text.bags import Bags, offsets_of
from askagain.text.features import Features, FeatureSettings
from askagain.text.idf import inverse_document_frequencies
from askagain.text.preprocessor import TextPreprocessor
from askagain.text.token_words import TokenWords, token_words
from askagain.text.vocabulary import WordVocabulary

FORMAT = 2  # Raise it when what is stored changes, so that older entries are not read.
IDF = "idf.npy"
TEXTS_A_BLOCK = 1 << 15  # features of so many are put together at a time
TOKENS = "tokens.txt"  # one a line: a token has no line end in it, since a text has none

Loaded = TypeVar("Loaded")


class StoredTexts(Sequence[str]):
    """Strings made of parts with spaces between them, put together when they are asked for.

    `parts()` gives the distinct parts; `bags`: one bag of part numbers a string, in their order.
    """

    def __init__(self, parts: Callable[[], Sequence[str]], bags: Bags) -> None:
        self._parts = parts
        self._bags = bags

    def __len__(self) -> int:
        return len(self._bags)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: int | slice) -> str | list[str]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        parts = self._parts()
        return " ".join([parts[part] for part in self._bags.bag(index % len(self)).tolist()])


class TokenStore:
    """What one TSV file holds, as arrays.

    `texts`: its distinct texts. `rows`: one bag of text indices a row, in column order. `skipped`: bad rows left out.
    `digest`: SHA-256 of the file. `key`: what its texts depend on, for cache keys. Raises InputError as
    `askagain.corpus.tsv.read_rows` does.
    """

    def __init__(
        self, path: Path, min_columns: int, on_bad_row: str, cache: Cache, separator: str | None = "\t"
    ) -> None:
        refuse_unreadable(path)
        self.path = path
        self.digest = cache.content_digest(path)
        self._cache = cache
        self.key: dict[str, object] = {
            "format": FORMAT,
            "content": self.digest,
            "separator": separator,
            "min_columns": min_columns,
            "on_bad_row": on_bad_row,
        }
        self._file = self.entry(
            "texts", {}, lambda folder: _store(read_rows(path, min_columns, on_bad_row, separator), folder), _open
        )
        self.rows, self.skipped = self._file.rows, self._file.skipped
        self.texts: Sequence[str] = StoredTexts(lambda: self._file.tokens, self._file.bags)
        self._words: dict[str, TokenWords] = {}

    def entry(
        self,
        kind: str,
        key: dict[str, object],
        build: Callable[[Path], None],
        load: Callable[[Path], Loaded],
        resumable: bool = False,
    ) -> Loaded:
        """An entry of the cache that depends on the file and on `key`; see `Cache.entry`."""
        return self._cache.entry(kind, self.key | key, build, load, resumable)

    def words(self, preprocessor: TextPreprocessor) -> TokenWords:
        """The words of each distinct token."""
        if preprocessor.fingerprint not in self._words:
            self._words[preprocessor.fingerprint] = self._open_words(preprocessor)
        return self._words[preprocessor.fingerprint]

    def _open_words(self, preprocessor: TextPreprocessor) -> TokenWords:
        def build(folder: Path) -> None:
            if preprocessor.by_token:
                tokens: Sequence[str] = self._file.tokens
                counts = self._file.token_counts
            else:  # each text is its own and only token
                tokens, counts = self.texts, np.ones(len(self.texts), dtype=np.int64)
            progress = with_progress(tokens, len(tokens), f"cleaning {self.path.name}")
            found = token_words(progress, counts, preprocessor)
            _save_bags(folder / "words", found.of_tokens)
            np.save(folder / "counts.npy", found.counts, allow_pickle=False)
            (folder / "words.json").write_text(json.dumps(found.words, ensure_ascii=False), encoding="utf-8")

        def load(folder: Path) -> TokenWords:
            counts = np.load(folder / "counts.npy", allow_pickle=False)
            return TokenWords(_load_strings(folder / "words.json"), _load_bags(folder / "words"), counts)

        return self.entry("words", {"preprocessor": preprocessor.fingerprint}, build, load)

    def count_features(self, preprocessor: TextPreprocessor, settings: FeatureSettings) -> Features:
        """The features of the texts"""

        def build(folder: Path) -> None:
            texts = partial(self.numbered_texts, preprocessor)
            Features.from_words(self.words(preprocessor), settings, texts).save(folder)

        key = {"preprocessor": preprocessor.fingerprint, **settings.as_key()}
        return self.entry("vocabulary", key, build, lambda folder: Features.load(folder, settings.kind))

    def numbered_texts(self, preprocessor: TextPreprocessor, vocabulary: WordVocabulary) -> Iterator[Bags]:
        """The words of each distinct text, in order, as numbers in `vocabulary`; some texts at a time."""
        of_tokens = self.words(preprocessor).numbered(vocabulary)
        for texts in self._blocks_of_tokens(preprocessor, f"word pairs of {self.path.name}"):
            yield texts.expand(of_tokens)

    def features(self, preprocessor: TextPreprocessor, features: Features) -> Bags:
        """The feature ids of each distinct text, in rising order."""

        def build(folder: Path) -> None:
            of_tokens = features.of_tokens(self.words(preprocessor))
            blocks = self._blocks_of_tokens(preprocessor, f"features of {self.path.name}")
            found = in_order(lambda texts: features.of_texts(texts, of_tokens), blocks)
            with _writing(folder / "features", np.int32) as append:
                for bags in found:
                    append(bags.ids, bags.lengths)

        key: dict[str, object] = {"preprocessor": preprocessor.fingerprint, "features": features.fingerprint}
        return self.entry("features", key, build, lambda folder: _load_bags(folder / "features"))

    def idf(self, preprocessor: TextPreprocessor, features: Features) -> np.ndarray:
        """What each feature weighs, [features.size] float32, counted over the distinct texts."""
        key: dict[str, object] = {"preprocessor": preprocessor.fingerprint, "features": features.fingerprint}

        def build(folder: Path) -> None:
            bags = self.features(preprocessor, features)
            blocks = (bags.slice(*block) for block in _blocks(len(bags), f"feature weights of {self.path.name}"))
            save_idf(folder, inverse_document_frequencies(blocks, features.size))

        return self.entry("idf", key, build, lambda folder: load_idf(folder, features.size))

    def _blocks_of_tokens(self, preprocessor: TextPreprocessor, description: str) -> Iterator[Bags]:
        """The token numbers of consecutive texts, some at a time, with a progress bar."""
        for start, stop in _blocks(len(self.texts), description):
            if preprocessor.by_token:
                # Opened for each block, so that what was read does not stay mapped into memory; and here, not in a
                # thread that uses it: numpy reads headers by way of `ast`, which in Python 3.11 is not thread-safe.
                yield _load_bags(self._file.folder / "bags").slice(start, stop)
            else:
                yield _own_tokens(start, stop)


@dataclass(frozen=True, eq=False)
class _StoredFile:
    """What `_store` wrote: `bags` has one bag of token numbers a text."""

    folder: Path
    rows: Bags
    bags: Bags
    token_counts: np.ndarray
    skipped: int

    @cached_property
    def tokens(self) -> list[str]:
        """The distinct tokens; made into strings when they are asked for, since they may be millions."""
        return (self.folder / TOKENS).read_bytes().decode("utf-8").split("\n")[:-1]


class _NewTexts(NamedTuple):
    """What some rows of a file add to the store: the cells' text numbers, cells in each row, texts not seen before."""

    cells: np.ndarray
    lengths: np.ndarray
    texts: pl.Series


class _Tokens(NamedTuple):
    """The tokens of some texts, their hashes, and tokens in each text."""

    tokens: pl.Series
    hashes: np.ndarray
    lengths: np.ndarray


def _store(pieces: Iterable[Rows], folder: Path) -> None:
    """Writes what `_open` reads. Texts and tokens are numbered in the order of their first use."""
    skipped = 0
    texts, tokens = HashIndex(), HashIndex()
    counts = np.zeros(0, dtype=np.int64)

    def number_texts() -> Iterator[_NewTexts]:
        nonlocal skipped
        for rows in pieces:
            skipped += rows.skipped
            numbers, new = texts.number(rows.cells.hash().to_numpy())
            yield _NewTexts(numbers, rows.lengths, rows.cells.gather(new))

    with ExitStack() as files:
        append_rows = files.enter_context(_writing(folder / "rows", np.int32))
        append_bags = files.enter_context(_writing(folder / "bags", np.int32))
        token_file = files.enter_context((folder / TOKENS).open("w", encoding="utf-8", newline="\n"))
        for new, split in in_order(lambda new: (new, _split(new.texts)), number_texts()):
            append_rows(new.cells, new.lengths)
            numbers, first_uses = tokens.number(split.hashes)
            append_bags(numbers, split.lengths)
            token_file.writelines(f"{token}\n" for token in split.tokens.gather(first_uses))
            found = np.bincount(numbers, minlength=len(tokens))
            found[: len(counts)] += counts
            counts = found
    np.save(folder / "token_counts.npy", counts, allow_pickle=False)
    (folder / "skipped.json").write_text(json.dumps(skipped))


def _split(texts: pl.Series) -> _Tokens:
    lists = texts.str.split(" ")
    tokens = lists.explode()
    return _Tokens(tokens, tokens.hash().to_numpy(), lists.list.len().to_numpy())


def _open(folder: Path) -> _StoredFile:
    rows, bags = (_load_bags(folder / name) for name in ("rows", "bags"))
    counts = np.load(folder / "token_counts.npy", allow_pickle=False)
    if (folder / TOKENS).read_bytes().count(b"\n") != len(counts):
        raise ValueError("tokens and counts do not belong together")
    return _StoredFile(folder, rows, bags, counts, json.loads((folder / "skipped.json").read_text()))


def save_idf(folder: Path, weights: np.ndarray) -> None:
    """Writes what `load_idf` reads."""
    np.save(folder / IDF, weights, allow_pickle=False)


def load_idf(folder: Path, size: int) -> np.ndarray:
    """The weights of `size` features; raises ValueError where there are others."""
    weights = np.load(folder / IDF, allow_pickle=False)
    if weights.shape != (size,):
        raise ValueError("weights and features do not belong together")
    return weights


def _own_tokens(start: int, stop: int) -> Bags:
    """The token numbers of texts of which each is its own and only token."""
    return Bags(np.arange(start, stop), np.arange(stop - start + 1))


def _blocks(count: int, description: str) -> Iterator[tuple[int, int]]:
    """Start and stop of consecutive blocks of texts, with a progress bar."""
    with progress_bar() as bar:
        task = bar.add_task(description, total=count)
        for start in range(0, count, TEXTS_A_BLOCK):
            bar.update(task, completed=start)
            yield start, min(start + TEXTS_A_BLOCK, count)


@contextmanager
def _writing(stem: Path, dtype: type[np.generic]) -> Iterator[Callable[[np.ndarray, np.ndarray], None]]:
    """Gives a function that appends bags, as ids and lengths, to the file that `_load_bags` reads."""
    with NpyWriter(stem.with_suffix(".ids.npy"), dtype) as ids, NpyWriter(_offsets(stem), np.int64) as offsets:
        offsets.append(np.zeros(1))
        total = 0

        def append(new_ids: np.ndarray, lengths: np.ndarray) -> None:
            nonlocal total
            ids.append(new_ids)
            offsets.append(total + offsets_of(lengths)[1:])
            total += len(new_ids)

        yield append


def _save_bags(stem: Path, bags: Bags) -> None:
    with _writing(stem, np.int32) as append:
        append(bags.ids, bags.lengths)


def _load_bags(stem: Path) -> Bags:
    # As plain arrays, since a slice of numpy's memmap type costs ten times that of an array.
    ids, offsets = (
        np.load(path, mmap_mode="r", allow_pickle=False).view(np.ndarray)
        for path in (stem.with_suffix(".ids.npy"), _offsets(stem))
    )
    if offsets[0] != 0 or offsets[-1] != len(ids):
        raise ValueError("ids and offsets do not belong together")
    return Bags(ids, offsets)


def _offsets(stem: Path) -> Path:
    return stem.with_suffix(".offsets.npy")


def _load_strings(path: Path) -> list[str]:
    return json.loads(path.read_text(encoding="utf-8"))
