"""The files of a token store: texts as tokens, written piece by piece and memory-mapped when they are read."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np

from askagain.corpus.cells import Cells
from askagain.corpus.hash_index import MOST as MOST_NUMBERS
from askagain.corpus.hash_index import HashIndex
from askagain.corpus.tsv import PIECE_BYTES, Rows
from askagain.files.arrays import load_array
from askagain.files.in_order import in_order
from askagain.files.json_files import write_json
from askagain.files.opened import count_lines
from askagain.text.bags import Bags, offsets_of
from askagain.text.lazy_texts import LazyTexts
from askagain.text.token_words import TokenWords

IDS, OFFSETS = ".ids.int32", ".offsets.int64"  # suffixes of files of bags
TOKENS = "tokens.txt"  # one token a line; neither texts nor tokens have line ends in them
LINE_END = ord("\n")
COUNTS = "token_counts.npy"
MOST_TOKENS = 1 << 26  # that are told from one another while a file is read; bounds the memory
FEW_TOKENS = 1 << 22  # that are held as strings


class StoredTokens(LazyTexts):
    """The tokens of a store that are read from its file when they are asked for; 8 bytes of memory each."""

    def __init__(self, path: Path) -> None:
        self._letters = _mapped(path, np.uint8)
        pieces = range(0, len(self._letters), PIECE_BYTES)
        ends = [start + np.flatnonzero(self._letters[start : start + PIECE_BYTES] == LINE_END) for start in pieces]
        self._ends = np.concatenate([np.zeros(0, dtype=np.int64), *ends])

    def __len__(self) -> int:
        return len(self._ends)

    def text(self, place: int) -> str:
        return self.block(place, place + 1)[0]

    def block(self, start: int, stop: int) -> list[str]:
        if start >= stop:
            return []
        begin = self._ends[start - 1] + 1 if start else 0
        return self._letters[begin : self._ends[stop - 1]].tobytes().decode("utf-8").split("\n")


class StoredTexts(LazyTexts):
    """Texts that are put together from their tokens when they are asked for."""

    def __init__(self, file: "StoredFile") -> None:
        self._file = file

    def __len__(self) -> int:
        return len(self._file.bags)

    def text(self, place: int) -> str:
        tokens = self._file.tokens
        return " ".join([tokens[token] for token in self._file.bags.bag(place).tolist()])

    def block(self, start: int, stop: int) -> list[str]:
        """Consecutive texts, at a fraction of what they take one by one."""
        bags = self._file.bags.slice(start, stop)
        tokens = self._file.tokens
        words = [tokens[token] for token in bags.ids.tolist()]
        return [" ".join(words[begin:end]) for begin, end in pairwise(bags.offsets.tolist())]


@dataclass(frozen=True, eq=False)
class StoredFile:
    """What `write_texts` wrote about a file.

    `rows`: one bag of text indices for each row. `bags`: one bag of token indices for each distinct text.
    `token_counts`: how often each token occurs in the distinct texts. `skipped`: bad rows left out. Tokens are distinct
    unless there are more than `MOST_TOKENS`; then frequent ones occur more than once.
    """

    folder: Path
    rows: Bags
    bags: Bags
    token_counts: np.ndarray
    skipped: int

    @cached_property
    def tokens(self) -> Sequence[str]:
        """The tokens, read when they are first asked for: there may be millions."""
        tokens = StoredTokens(self.folder / TOKENS)
        return list(tokens) if len(tokens) <= FEW_TOKENS else tokens

    def text_tokens(self, start: int, stop: int) -> Bags:
        """The token indices of the texts from `start` up to `stop`; mapped anew, so that pages read do not add up."""
        return load_bags(self.folder / "bags").slice(start, stop)


class _NewTexts(NamedTuple):
    """What a piece of a file adds to the store: the text index of each cell, cells in each row, and new texts."""

    cells: np.ndarray
    lengths: np.ndarray
    texts: Cells


def write_texts(pieces: Iterable[Rows], folder: Path, most_tokens: int = MOST_TOKENS) -> np.ndarray:
    """Writes the rows, distinct texts and tokens of a file, numbered in the order of their first use.

    With each `most_tokens` different tokens all are forgotten: those that come again get further numbers. That bounds
    the memory, and hardly adds to the file, since what comes again is a small part of so many.

    Returns the hashes of the texts, see `Cells`.
    """
    skipped = before = 0
    texts, tokens = HashIndex(), HashIndex(counted=True)
    counts = [np.zeros(0, dtype=np.int64)]

    def number_texts() -> Iterator[_NewTexts]:
        nonlocal skipped
        for rows in pieces:
            skipped += rows.skipped
            numbers, new = texts.number(rows.cells.hashes)
            yield _NewTexts(numbers, rows.lengths, rows.cells.take(new))

    with ExitStack() as files:
        append_rows = files.enter_context(bag_writer(folder / "rows"))
        append_bags = files.enter_context(bag_writer(folder / "bags"))
        token_file = files.enter_context((folder / TOKENS).open("wb"))

        def append(tokenized: tuple[_NewTexts, tuple[Cells, np.ndarray]]) -> None:
            nonlocal tokens, before
            new, (text_tokens, lengths) = tokenized
            append_rows(new.cells, new.lengths)
            numbers, first_uses = tokens.number(text_tokens.hashes)
            if before + len(tokens) > MOST_NUMBERS:
                raise OverflowError(f"more than {MOST_NUMBERS:,} tokens")
            append_bags(numbers + np.int32(before), lengths)
            token_file.write(text_tokens.take(first_uses).lines())
            if len(tokens) >= most_tokens:
                counts.append(tokens.counts.copy())
                tokens, before = HashIndex(counted=True), before + len(tokens)

        tokenized = in_order(lambda new: (new, new.texts.tokens()), number_texts())
        for _ in in_order(append, tokenized, threads=1):
            pass
    np.save(folder / COUNTS, np.concatenate([*counts, tokens.counts]), allow_pickle=False)
    write_json(folder / "skipped.json", skipped)
    return texts.hashes


def open_texts(folder: Path) -> StoredFile:
    """Reads what `write_texts` wrote; raises ValueError where files do not match."""
    rows, bags = (load_bags(folder / name) for name in ("rows", "bags"))
    counts = load_array(folder / COUNTS, "r")
    if count_lines(folder / TOKENS) != len(counts):
        raise ValueError("tokens and counts do not match")
    return StoredFile(folder, rows, bags, counts, json.loads((folder / "skipped.json").read_text()))


def save_words(folder: Path, words: TokenWords) -> None:
    """Writes what `load_words` reads."""
    with bag_writer(folder / "words") as append:
        append(words.bags.ids, words.bags.lengths)
    np.save(folder / "counts.npy", words.counts, allow_pickle=False)
    write_json(folder / "words.json", words.words)


def load_words(folder: Path) -> TokenWords:
    """The words of each distinct token."""
    words = json.loads((folder / "words.json").read_bytes())
    return TokenWords(words, load_bags(folder / "words"), load_array(folder / "counts.npy"))


@contextmanager
def bag_writer(stem: Path) -> Iterator[Callable[[np.ndarray, np.ndarray], None]]:
    """Gives a function that appends bags, as int32 ids and lengths, to the files that `load_bags` reads."""
    with stem.with_suffix(IDS).open("wb") as ids, stem.with_suffix(OFFSETS).open("wb") as offsets:
        # Not by NumPy's tofile, which does not say that a disk is full.
        offsets.write(np.zeros(1, dtype=np.int64).data)
        total = 0

        def append(new_ids: np.ndarray, lengths: np.ndarray) -> None:
            nonlocal total
            ids.write(np.ascontiguousarray(new_ids, dtype=np.int32).data)
            offsets.write(np.ascontiguousarray(total + offsets_of(lengths)[1:]).data)
            total += len(new_ids)

        yield append


def load_bags(stem: Path) -> Bags:
    """Memory-maps the bags that `bag_writer` wrote; raises ValueError where ids and offsets do not match."""
    ids, offsets = _mapped(stem.with_suffix(IDS), np.int32), _mapped(stem.with_suffix(OFFSETS), np.int64)
    if not len(offsets) or offsets[0] != 0 or offsets[-1] != len(ids):
        raise ValueError("ids and offsets do not match")
    return Bags(ids, offsets)


def _mapped(path: Path, dtype: type[np.generic]) -> np.ndarray:
    if not path.stat().st_size:  # an empty file cannot be mapped
        return np.empty(0, dtype)
    # As a plain array, since a slice of numpy's memmap type costs ten times that of an array.
    return np.memmap(path, dtype, mode="r").view(np.ndarray)
