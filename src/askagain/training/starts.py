"""What rows of a table start from instead of random values: an encoder trained earlier, or word vectors."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from askagain.errors import InputError
from askagain.models.bag_encoder import BagEncoder
from askagain.models.folder import load_encoder
from askagain.models.mean_of_vectors import mean_of_vectors
from askagain.models.named import named_folder
from askagain.text.features import Features, FeatureSettings
from askagain.text.preprocessor import TextPreprocessor
from askagain.vectors.word_vectors import WordVectors

KnownRows = tuple[torch.Tensor, torch.Tensor]  # of the new table, [n] int64, and what to write there, [n, start's dim]
SECOND_WORD = (1 << 32) - 1  # bits of a pair's key that hold its second word

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Initializer:
    """An encoder whose rows a new table starts from.

    Args:
        encoder: the earlier encoder.
        name: of it, in messages.
        keeps_features: whether its words and letter n-grams stay known beside those of the texts, see `extended`.
        by_idf: whether its rows are multiplied by the idf that their features have in the texts, the largest one being
            1. What is rare where it learned may be on every page here.
    """

    encoder: BagEncoder
    name: str
    keeps_features: bool = False
    by_idf: bool = False

    def extended(self, features: Features, settings: FeatureSettings) -> Features:
        """The features of the texts and, where they are kept, those of the encoder beside them.

        None are added of a kind that `settings` bounds, nor any where the encoder sums other kinds or hashes n-grams.
        """
        if not self.keeps_features or not _sums_same_kinds(self._unfolded.features, features):
            return features
        known = self.encoder.features
        words = known.vocabulary.words if settings.max_words is None and len(features.vocabulary) else ()
        ngrams = known.tokenizer.ngrams if settings.max_trigrams is None and features.tokenizer.vocab_size else ()
        return features.with_further(words, ngrams)

    def fill(
        self, table: torch.Tensor, features: Features, init_std: float, idf: Callable[[], np.ndarray]
    ) -> torch.Tensor:
        """Writes what the encoder knows of `features` into `table`.

        If the encoder sums rows of the same kinds as `features`, the features of both get its rows; else each word gets
        the vector that the encoder gives to the word alone. Word pairs of both get their rows. Rows that the encoder
        knows nothing of stay as they are, and so do the last columns where its vectors have fewer.

        An encoder that was trained to give unit vectors (a DSSM, a distilled encoder) keeps the lengths of its rows,
        which say how much a feature weighs. All other vectors are rescaled by one factor, so that their mean
        length is that of random rows: the learning rate is tuned for it, and random rows then weigh as much.

        `table` is [features.size, dim], `init_std` the standard deviation of random rows; `idf` returns the weight of
        each feature. Returns the rows that were written, [n]. Raises InputError where the encoder's vectors have more
        columns than the table, or it knows none of the features.
        """
        dim = table.shape[1]
        if self.encoder.dim > dim:
            raise InputError(
                f"{self.name}: its vectors have {self.encoder.dim} columns, more than dim={dim}; "
                f"set dim={self.encoder.dim} or choose a start with at most {dim}"
            )
        if init_std == 0 and not self.encoder.normalize:
            raise InputError(
                f"{self.name}: its vectors are scaled to the length of random rows, which is 0; set init_std above 0"
            )
        is_alike = "else" in features.kind  # then n-grams stand for unknown words only here, too
        known = _known_rows(self.encoder if is_alike else self._unfolded, features)
        rows = torch.cat([rows for rows, _ in known])
        if not len(rows):
            raise InputError(f"{self.name}: knows none of the features to train; choose another start or features")
        scale = 1.0 if self.encoder.normalize else init_std * dim**0.5 / _mean_length(known)
        weights = torch.from_numpy(idf()) if self.by_idf else torch.ones(len(table))
        weights = (weights / weights.max() * scale).unsqueeze(1)
        for known_rows, vectors in known:
            table[known_rows, : self.encoder.dim] = vectors * weights[known_rows]
        return rows

    @cached_property
    def _unfolded(self) -> BagEncoder:
        return self.encoder.unfolded()


def from_encoder(path: str, keeps_features: bool = False, by_idf: bool = False) -> Initializer:
    """The encoder of an earlier run; `path`: see `load_encoder`. Raises InputError where there is none."""
    return Initializer(load_encoder(path), str(path), keeps_features, by_idf)


class InitializerWhereItFits(Initializer):
    """The same for a default: where it does not fit, or its vectors are not as long, the table stays as it is."""

    def fill(
        self, table: torch.Tensor, features: Features, init_std: float, idf: Callable[[], np.ndarray]
    ) -> torch.Tensor:
        """As `Initializer.fill`, but with a line in place of an InputError, and of vectors that are shorter."""
        dim = table.shape[1]
        try:
            if self.encoder.dim != dim:
                raise InputError(f"{self.name}: its vectors have {self.encoder.dim} columns, not dim={dim}")
            rows = super().fill(table, features, init_std, idf)
        except InputError as error:
            log.info("start=auto: random rows (%s)", error)
            return torch.zeros(0, dtype=torch.int64)
        log.info("start=auto: the encoder in %s; start=random: random rows", self.name)
        return rows


def from_built(
    name: str, dim: int | None = None, keeps_features: bool = True, by_idf: bool = True
) -> InitializerWhereItFits | None:
    """The encoder that was built or installed under a name; None where there is none, or its dim is another.

    `dim`: of the table, None where it is not known yet. Raises InputError for a damaged encoder.
    """
    folder = named_folder(name)
    if folder is None:
        return None
    encoder = load_encoder(folder)
    if dim is not None and dim != encoder.dim:
        log.info("start=auto: random rows (%s has vectors of %d numbers, not %d)", folder, encoder.dim, dim)
        return None
    return InitializerWhereItFits(encoder, str(folder), keeps_features, by_idf)


def from_nothing() -> None:
    """All rows stay random."""


def from_word_vectors(vectors: WordVectors) -> Initializer:
    """Pretrained word vectors."""
    return Initializer(mean_of_vectors(TextPreprocessor(clean=False), vectors), vectors.name)


def _known_rows(encoder: BagEncoder, features: Features) -> list[KnownRows]:
    """What the encoder knows of words, letter n-grams and word pairs."""
    start = encoder.features
    words = start.vocabulary.indices(features.vocabulary.words)
    pairs = _start_pairs(features, start, words)
    known = [_copied(encoder, pairs, start.size - len(start.pairs), features.size - len(features.pairs))]
    if _sums_same_kinds(start, features):
        ngrams = _start_ngrams(features, start)
        known.append(_copied(encoder, words, 0, 0))
        known.append(_copied(encoder, ngrams, len(start.vocabulary), len(features.vocabulary)))
    else:
        known.append(_words_alone(encoder, features))
    return known


def _sums_same_kinds(start: Features, features: Features) -> bool:
    """Whether each row that the start sums for a word is of a kind that is summed for it here as well."""
    # N-grams that only stand in for unknown words are another kind: `else` is a part of its own.
    parts, own_parts = (set(each.kind.split("_")) - {"pairs"} for each in (start, features))
    hashed_alike = start.tokenizer.buckets == features.tokenizer.buckets
    return parts <= own_parts and (hashed_alike or not start.tokenizer.vocab_size)


def _start_ngrams(features: Features, start: Features) -> np.ndarray:
    """The index in the start of each letter n-gram of `features`, -1 for those that it lacks."""
    if features.tokenizer.buckets is not None:
        return np.arange(features.tokenizer.buckets if start.tokenizer.vocab_size else 0)
    index = start.tokenizer.index
    ngrams = features.tokenizer.ngrams
    return np.fromiter((index.get(ngram, -1) for ngram in ngrams), dtype=np.int64, count=len(ngrams))


def _start_pairs(features: Features, start: Features, words: np.ndarray) -> np.ndarray:
    """Likewise of each word pair; `words`: the index in the start of each word."""
    keys, known = features.pairs.keys, start.pairs.keys
    if not len(keys) or not len(known):
        return np.full(len(keys), -1)
    wanted = (words[keys >> 32] << 32) | words[keys & SECOND_WORD]  # negative where either word is unknown
    indices = np.searchsorted(known, wanted)
    return np.where(known.take(indices, mode="clip") == wanted, indices, -1)


def _copied(encoder: BagEncoder, indices: np.ndarray, first_in_start: int, first: int) -> KnownRows:
    """The start's rows for features of one kind: `indices` of each in the start, -1 where it lacks it.

    `first_in_start`, `first`: the row of the first feature of that kind in the start and in the new table.
    """
    known = torch.from_numpy(np.flatnonzero(indices >= 0))
    sources = torch.from_numpy(indices)[known] + first_in_start
    return known + first, torch.from_numpy(encoder.table.take(sources.numpy()))


def _words_alone(encoder: BagEncoder, features: Features) -> KnownRows:
    """The sum of the start's rows for each word of which it knows a feature."""
    bags = encoder.features.word_bags(features.vocabulary.words)
    known = np.flatnonzero(bags.lengths)
    unscaled = BagEncoder(encoder.preprocessor, encoder.features, encoder.table, pooling="sum")
    return torch.from_numpy(known), torch.from_numpy(unscaled.embed(bags.take(known)))


def _mean_length(known: list[KnownRows]) -> float:
    lengths = torch.cat([torch.linalg.vector_norm(vectors, dim=1) for _, vectors in known])
    return max(float(lengths.double().mean()), torch.finfo(torch.float32).tiny)
