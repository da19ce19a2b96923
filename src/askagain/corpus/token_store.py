"""Distinct texts, their tokens and their feature ids as flat arrays on disk, each built once and then memory-mapped.

Each layer is cached by what it depends on: the texts of a file and their tokens (content, treatment of bad rows), the
words of the tokens (preprocessor), the counted features (their settings), the feature ids of the texts and the weights
of the features. All are built block by block: memory grows by 20 to 30 bytes for each distinct text and each of
`MOST_TOKENS` tokens, by 8 for every further token, 40 where texts are compared, and by what `token_words` takes.
"""

import logging
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

from askagain.corpus.alike import AlikeTokens
from askagain.corpus.cache import Cache
from askagain.corpus.cells import text_hashes
from askagain.corpus.feature_source import FeatureSource, features_key
from askagain.corpus.field_table import FieldTable
from askagain.corpus.store_files import (
    StoredTexts,
    bag_writer,
    load_bags,
    load_words,
    open_texts,
    save_words,
    write_texts,
)
from askagain.corpus.tsv import PIECE_BYTES, header, is_no_text, read_rows
from askagain.errors import InputError
from askagain.files.arrays import load_array
from askagain.files.in_order import in_order
from askagain.files.opened import refuse_unreadable
from askagain.files.progress import progress_bar, with_progress
from askagain.text.bags import Bags
from askagain.text.features import Features
from askagain.text.preprocessor import TextPreprocessor
from askagain.text.token_words import TokenWords, token_words
from askagain.text.vocabulary import WordVocabulary

log = logging.getLogger(__name__)

FORMAT = 5  # increase it when the stored files change, so that older entries are not read
TEXTS_PER_BLOCK = 1 << 15
HASHES = "hashes.npy"
HASHED_BY: dict[str, object] = {"hash": 2}  # increase it when other hashes are computed; all else stays


class TokenStore(FeatureSource):
    """The texts of one TSV file as arrays.

    Args:
        path: the file, plain or gzip.
        min_columns: columns that a row must have.
        on_bad_row: `error` or `skip`, see `askagain.corpus.tsv.read_rows`.
        cache: where the arrays are kept.
        separator: of columns; None for one text a line.
        clean: leave characters out that nobody sees, see `askagain.text.cleaning.cleaned`.
        texts_per_block: texts whose features are looked up together; bounds the memory.
        piece_bytes: bytes that are read together; bounds the memory.
        fields: further fields of the questions, whose titles the file has.

    Attributes:
        texts: the distinct texts.
        rows: one bag of text indices for each row, in column order.
        hashes: a hash of each text, [texts] uint64; equal texts of all stores have equal ones.
        skipped: bad rows left out.
        digest: SHA-256 of the file.

    Raises:
        InputError: as `askagain.corpus.tsv.read_rows` does, or where a first line names columns that hold no texts.
    """

    def __init__(
        self,
        path: Path,
        min_columns: int,
        on_bad_row: str,
        cache: Cache,
        separator: str | None = "\t",
        clean: bool = True,
        texts_per_block: int = TEXTS_PER_BLOCK,
        piece_bytes: int = PIECE_BYTES,
        fields: FieldTable | None = None,
    ) -> None:
        refuse_unreadable(path)
        self.path = path
        self.digest = cache.content_digest(path)
        self._texts_per_block = texts_per_block
        names = None if separator is None else header(path)
        if names is not None:
            _refuse_other_columns(path, names)
            log.warning("%s, line 1: left out, since it names columns (%s)", path, ", ".join(names))
        key = {"format": FORMAT, "content": self.digest, "separator": separator, "min_columns": min_columns}
        key |= {"on_bad_row": on_bad_row, "clean": clean}
        key |= {} if fields is None else {"fields": fields.key}
        super().__init__(cache.under(key), str(path))
        hashes: list[np.ndarray] = []  # where the texts are read now

        def build(folder: Path) -> None:
            first_line = 1 if names is None else 2
            rows = read_rows(path, min_columns, on_bad_row, separator, piece_bytes, clean, first_line)
            if fields is not None:
                rows = fields.composed(rows, path)
            try:
                hashes[:] = [write_texts(rows, folder)]
            except OverflowError as error:
                raise InputError(f"{path}: {error}: split the file, or leave some of its rows out") from error
            if cache.content_digest(path) != self.digest:
                raise InputError(f"{path} was changed while it was read: start again when it is complete")

        self._file = self.cache.entry("texts", {}, build, open_texts)
        self.rows, self.skipped = self._file.rows, self._file.skipped
        self.texts = StoredTexts(self._file)

        def build_hashes(folder: Path) -> None:
            np.save(folder / HASHES, hashes[0] if hashes else self._hash_texts(), allow_pickle=False)

        self.hashes = self.cache.entry("hashes", HASHED_BY, build_hashes, _load_hashes)
        self._words: dict[str, TokenWords] = {}

    @cached_property
    def alike_hashes(self) -> np.ndarray:
        """A hash of what each text shares with others that are alike, [texts] uint64; see `AlikeTokens`."""

        def build(folder: Path) -> None:
            tokens = AlikeTokens(self._file.tokens)
            blocks = self._blocks(f"hashes of {self.path.name}")
            texts = (self._file.text_tokens(start, stop) for start, stop in blocks)
            hashes = [np.zeros(0, dtype=np.uint64), *in_order(tokens.hashes, texts)]
            np.save(folder / HASHES, np.concatenate(hashes), allow_pickle=False)

        return self.cache.entry("alike_hashes", HASHED_BY, build, _load_hashes)

    def words(self, preprocessor: TextPreprocessor) -> TokenWords:
        def build(folder: Path) -> None:
            if preprocessor.by_token:
                tokens: Sequence[str] = self._file.tokens
                counts = self._file.token_counts
            else:  # each text is its own and only token
                tokens, counts = self.texts, np.ones(len(self.texts), dtype=np.int64)
            progress = with_progress(tokens, len(tokens), f"cleaning {self.path.name}")
            save_words(folder, token_words(progress, counts, preprocessor))

        key = preprocessor.fingerprint
        if key not in self._words:
            self._words[key] = self.cache.entry("words", {"preprocessor": key}, build, load_words)
        return self._words[key]

    def numbered_texts(self, preprocessor: TextPreprocessor, vocabulary: WordVocabulary) -> Iterator[Bags]:
        token_numbers = self.words(preprocessor).numbered(vocabulary)
        for texts in self._token_blocks(preprocessor, f"word pairs of {self.path.name}"):
            yield texts.expand(token_numbers)

    def features(self, preprocessor: TextPreprocessor, features: Features) -> Bags:
        def build(folder: Path) -> None:
            look_up = features.text_lookup(self.words(preprocessor))
            blocks = self._token_blocks(preprocessor, f"features of {self.path.name}")
            with bag_writer(folder / "features") as append:
                for bags in in_order(look_up, blocks):
                    append(bags.ids, bags.lengths)

        key = features_key(preprocessor, features)
        return self.cache.entry("features", key, build, lambda folder: load_bags(folder / "features"))

    def _hash_texts(self) -> np.ndarray:
        blocks = self._blocks(f"texts of {self.path.name}")
        return np.concatenate([text_hashes(self.texts[start:stop]) for start, stop in blocks])

    def _feature_blocks(self, preprocessor: TextPreprocessor, features: Features) -> Iterator[Bags]:
        bags = self.features(preprocessor, features)
        for start, stop in self._blocks(f"feature weights of {self.path.name}"):
            yield bags.slice(start, stop)

    def _token_blocks(self, preprocessor: TextPreprocessor, description: str) -> Iterator[Bags]:
        """Blocks of texts, each a bag of token indices, with a progress bar."""
        for start, stop in self._blocks(description):
            if preprocessor.by_token:
                yield self._file.text_tokens(start, stop)
            else:  # each text is its own and only token
                yield Bags(np.arange(start, stop), np.arange(stop - start + 1))

    def _blocks(self, description: str) -> Iterator[tuple[int, int]]:
        """The start and the end of consecutive blocks of texts, with a progress bar."""
        count = len(self.texts)
        with progress_bar() as bar:
            task = bar.add_task(description, total=count)
            for start in range(0, count, self._texts_per_block):
                bar.update(task, completed=start)
                yield start, min(start + self._texts_per_block, count)


def _load_hashes(folder: Path) -> np.ndarray:
    return load_array(folder / HASHES)


def _refuse_other_columns(path: Path, names: Sequence[str]) -> None:
    others = [name for name in names if is_no_text(name)]
    if others:
        raise InputError(
            f"{path}, line 1: {', '.join(others)} {'is no column' if len(others) == 1 else 'are no columns'} of texts; "
            f"make a folder of it with: askagain convert groups {path} -o DIR"
        )
