"""Texts as places in UTF-8 bytes, with their hashes: cells of a file, and the tokens of cells, in C or in arrays."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from askagain.native import store
from askagain.text.bags import counted_up
from askagain.text.lazy_texts import LazyTexts

SPACE, END = b" ", b"\n"  # between tokens, and between texts that are put together
HALVES = "surrogatepass"  # lone surrogates may occur in texts that were not read from a file
WORD_BYTES = 8
FEW_SPANS = 8  # whose bytes are mixed one span after the other
# The first hash of a length, and what a word is mixed in with; as in store.c.
LENGTH_FACTOR, WORD_FACTOR = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xFF51AFD7ED558CCD)


@dataclass(frozen=True, eq=False)
class Cells(LazyTexts):
    """Texts that are decoded when they are asked for.

    `data`: UTF-8. `begins`, `ends`: the place of each text in it, [texts] int64. `hashes`: [texts] uint64; equal texts
    have equal ones, on every machine.
    """

    data: bytes
    begins: np.ndarray
    ends: np.ndarray
    hashes: np.ndarray

    @classmethod
    def of(cls, texts: Sequence[str]) -> "Cells":
        """Texts that were decoded."""
        encoded = [text.encode("utf-8", HALVES) for text in texts]
        lengths = np.fromiter(map(len, encoded), dtype=np.int64, count=len(encoded))
        return cls.placed(b"".join(encoded), np.cumsum(lengths) - lengths, np.cumsum(lengths))

    @classmethod
    def placed(cls, data: bytes, begins: np.ndarray, ends: np.ndarray) -> "Cells":
        """Texts whose places are known."""
        hashes = store.hashes(data, begins, ends)
        return cls(data, begins, ends, span_hashes(data, begins, ends) if hashes is None else hashes)

    def __len__(self) -> int:
        return len(self.begins)

    def text(self, place: int) -> str:
        return self.data[self.begins[place] : self.ends[place]].decode("utf-8", HALVES)

    def block(self, start: int, stop: int) -> list[str]:
        spans = zip(self.begins[start:stop].tolist(), self.ends[start:stop].tolist(), strict=True)
        return [self.data[begin:end].decode("utf-8", HALVES) for begin, end in spans]

    def to_list(self) -> list[str]:
        """All texts."""
        return self.block(0, len(self))

    def take(self, places: np.ndarray) -> "Cells":
        """The texts at `places`, [n] integers."""
        return Cells(self.data, self.begins[places], self.ends[places], self.hashes[places])

    def tokens(self) -> tuple["Cells", np.ndarray]:
        """The pieces between the spaces of all texts, and the number of them in each text, [texts] int64."""
        spans = store.tokens(self.data, self.begins, self.ends)
        if spans is not None:
            return Cells(self.data, *spans[:3]), spans.lengths
        spaces = np.flatnonzero(np.frombuffer(self.data, dtype=np.uint8) == SPACE[0])
        firsts, lasts = np.searchsorted(spaces, self.begins), np.searchsorted(spaces, self.ends)
        within = spaces[np.repeat(firsts, lasts - firsts) + counted_up(lasts - firsts)]
        lengths = lasts - firsts + 1
        # A text begins its first token and ends its last one; spaces end and begin all others.
        starts = np.cumsum(lengths) - lengths
        begins, ends = (np.empty(len(within) + len(lengths), dtype=np.int64) for _ in range(2))
        is_first, is_last = (np.zeros(len(begins), dtype=bool) for _ in range(2))
        is_first[starts], is_last[starts + lengths - 1] = True, True
        begins[is_first], begins[~is_first] = self.begins, within + 1
        ends[is_last], ends[~is_last] = self.ends, within
        return Cells.placed(self.data, begins, ends), lengths

    def lines(self) -> bytes:
        """All texts, each with a line end behind it."""
        spans = zip(self.begins.tolist(), self.ends.tolist(), strict=True)
        return b"".join([part for begin, end in spans for part in (self.data[begin:end], END)])


def text_hashes(texts: Sequence[str]) -> np.ndarray:
    """The hash of each text, [texts] uint64."""
    return Cells.of(texts).hashes


def span_hashes(data: bytes, begins: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """The hash of each span of the data, [n] uint64: its length, into which eight bytes after the other are mixed.

    Two of n different texts have the same hash with a chance of n^2 / 2^65 or so; no defence against texts that were
    made to.
    """
    padded = data + bytes(WORD_BYTES)
    words = np.ndarray(len(padded) - WORD_BYTES + 1, dtype="<u8", buffer=padded, strides=(1,))  # at every byte
    lengths = ends - begins
    order = np.argsort(-lengths, kind="stable")  # long ones first: fewer and fewer have a word left
    begins, lengths = begins[order], lengths[order]
    mixed = lengths.astype(np.uint64) * LENGTH_FACTOR
    for start in range(0, int(lengths.max(initial=0)), WORD_BYTES):
        left = int(np.searchsorted(-lengths, -start))
        if left <= FEW_SPANS:
            rests = [data[begin + start : end] for begin, end in zip(begins[:left], ends[order[:left]], strict=True)]
            mixed[:left] = list(map(_mixed_with, mixed[:left].tolist(), rests))
            break
        used = np.minimum(lengths[:left] - start, WORD_BYTES)
        unused_bits = (8 * (WORD_BYTES - used)).astype(np.uint64)
        word = words[begins[:left] + start] << unused_bits >> unused_bits
        mixed[:left] = (mixed[:left] ^ word) * WORD_FACTOR
        mixed[:left] ^= mixed[:left] >> np.uint64(32)
    hashes = np.empty_like(mixed)
    mixed *= LENGTH_FACTOR  # so that the low bits depend on all letters
    hashes[order] = mixed ^ mixed >> np.uint64(32)
    return hashes


def _mixed_with(mixed: int, data: bytes) -> int:
    """Mixes the words of one span's bytes into its hash so far."""
    factor, bits = int(WORD_FACTOR), 8 * WORD_BYTES
    for start in range(0, len(data), WORD_BYTES):
        mixed = (mixed ^ int.from_bytes(data[start : start + WORD_BYTES], "little")) * factor % 2**bits
        mixed ^= mixed >> 32
    return mixed
