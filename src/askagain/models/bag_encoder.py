"""The encoder that all experiments give: the sum or mean of table rows, one for each feature of the text.

It needs numpy, and scipy for many texts at once: no PyTorch, and nothing that only training needs.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from askagain.errors import InputError
from askagain.files.in_order import in_order
from askagain.models.table import Table
from askagain.text.bags import Bags
from askagain.text.features import Features
from askagain.text.fields import Fields
from askagain.text.preprocessor import TextPreprocessor
from askagain.text.text_tokenizer import TextTokenizer

POOLINGS = ("sum", "mean")
SPELLED, FOLDED = "words_trigrams", "words_else_trigrams"  # kinds of features
TEXTS_A_BLOCK = 4_096  # their vectors stay in the processor's cache until they are normalized and written
TEXTS_AT_A_TIME = 1 << 14  # tokenized, while those before them are added up
SHORTEST = 1e-12  # shorter vectors are divided by this, so that zero stays zero


class Ranking(NamedTuple):
    """Candidates of a question, best first.

    `order`: [candidates] int64, their places in the list that was given; equal scores keep its order. `scores`:
    [candidates] float32, the cosine of each, in this order.
    """

    order: np.ndarray
    scores: np.ndarray


class ScorePart(NamedTuple):
    """What a feature of the question and one of the candidate add to their score.

    `[whe]` is a letter n-gram, `hard disk` a word pair.
    """

    question_feature: str
    candidate_feature: str
    score: float


class BagEncoder:
    """Cleans a text, looks up the table rows of its features and pools them; satisfies `Encoder`.

    `askagain.load` gives one. A new one is made of its parts:

    Args:
        preprocessor: Splits a text into words.
        features: Maps words to rows of the table.
        table: [features.size, dim] float32, or a `Table` of another type.
        pooling: `sum` or `mean` over the features of a text.
        normalize: Scale vectors to length 1; zero vectors stay zero.

    Raises:
        InputError: Another pooling, or a table with another number of rows than the features need.

    Example:
        >>> import numpy as np
        >>> from askagain.text.features import Features
        >>> from askagain.text.ngrams import NgramTokenizer
        >>> from askagain.text.preprocessor import TextPreprocessor
        >>> from askagain.text.vocabulary import WordVocabulary
        >>> features = Features("words", WordVocabulary(["quit", "leave", "vim"]), NgramTokenizer())
        >>> table = np.array([[1, 0], [0.8, 0.6], [0, 1]], dtype=np.float32)
        >>> encoder = BagEncoder(TextPreprocessor(), features, table, normalize=True)
        >>> print(encoder.encode(["quit vim", "unheard"]).round(2))
        [[0.71 0.71]
         [0.   0.  ]]
        >>> print(encoder.similarity(["quit"], ["leave", "vim"]).round(2))
        [[0.8 0. ]]
        >>> order, scores = encoder.rank("quit vim", ["vim", "leave vim", "unheard"])
        >>> print(order, scores.round(2))
        [1 0 2] [0.95 0.71 0.  ]
        >>> [(part.question_feature, part.candidate_feature) for part in encoder.explain("quit vim", "leave vim")[:2]]
        [('vim', 'vim'), ('quit', 'leave')]
    """

    def __init__(
        self,
        preprocessor: TextPreprocessor,
        features: Features,
        table: np.ndarray | Table,
        pooling: str = "sum",
        normalize: bool = False,
    ) -> None:
        check_pooling(pooling)
        self.table = table if isinstance(table, Table) else Table(np.asarray(table))
        if len(self.table) != features.size:
            raise InputError(f"the table has {len(self.table)} rows, the features need {features.size}")
        self.preprocessor = preprocessor
        self.features = features
        self.pooling = pooling
        self.normalize = normalize
        self._tokenizer = TextTokenizer(preprocessor, features)

    @property
    def dim(self) -> int:
        """The length of a vector."""
        return self.table.dim

    @property
    def is_finite(self) -> bool:
        """Whether all numbers of the table are finite, and so small that sums of rows have a length in float32."""
        return self.table.is_finite

    def with_preprocessor(self, preprocessor: TextPreprocessor) -> "BagEncoder":
        """The same table behind another preprocessor."""
        return BagEncoder(preprocessor, self.features, self.table, self.pooling, self.normalize)

    def with_table(self, table: Table) -> "BagEncoder":
        """The same features with another table."""
        return BagEncoder(self.preprocessor, self.features, table, self.pooling, self.normalize)

    def folded(self) -> "BagEncoder":
        """The same encoder with fewer rows to add up: a known word's row holds those of its letter n-grams as well.

        Vectors are the same but for the rounding of sums. Unknown words have their n-grams as before. Another encoder
        than a sum over words and n-grams is returned as it is.
        """
        kind = self.features.kind
        if not kind.startswith(SPELLED) or self.pooling != "sum" or not self.normalize:
            return self
        rows = self.table.take(np.arange(len(self.table)))
        words = self.features.vocabulary.words
        rows[: len(words)] = self.table.sums(self.features.word_bags(words))
        features = self.features.of_kind(kind.replace(SPELLED, FOLDED))
        return BagEncoder(self.preprocessor, features, rows, self.pooling, self.normalize)

    @property
    def is_folded(self) -> bool:
        """Whether it is what `folded` gives, and not an encoder that predicts the vectors of unknown words alone."""
        return self.features.kind.startswith(FOLDED) and self.pooling == "sum" and self.normalize

    def unfolded(self) -> "BagEncoder":
        """What `folded` was called on; an encoder that is not folded is returned as it is."""
        if not self.is_folded:
            return self
        features = self.features.of_kind(self.features.kind.replace(FOLDED, SPELLED))
        words = features.vocabulary.words
        rows = self.table.take(np.arange(len(self.table)))
        rows[: len(words)] = 0
        rows[: len(words)] = self.table.take(np.arange(len(words))) - Table(rows).sums(features.word_bags(words))
        return BagEncoder(self.preprocessor, features, rows, self.pooling, self.normalize)

    def truncated(self, dim: int) -> "BagEncoder":
        """The encoder of the first `dim` columns; raises InputError where there are fewer."""
        self._check_dim(dim)
        return self.with_table(self.table.truncated(dim))

    def tokenize(self, texts: Sequence[str | Mapping[str, Any]]) -> Bags:
        """The feature ids of each text. Raises TypeError for a single string in place of a sequence of them."""
        if isinstance(texts, str):
            raise TypeError("texts is one string; give a list of texts")
        if set(map(type, texts)) != {str}:
            fields = self.preprocessor.fields or Fields(["title"])
            texts = [text if isinstance(text, str) else _composed(text, fields) for text in texts]
        return self._tokenizer(texts)  # type: ignore[arg-type]

    def embed(self, bags: Bags) -> np.ndarray:
        """The vectors of tokenized texts: [len(bags), dim] float32."""
        vectors = np.empty((len(bags), self.dim), dtype=np.float32)
        blocks = (
            (start, bags.slice(start, min(start + TEXTS_A_BLOCK, len(bags))))
            for start in range(0, len(bags), TEXTS_A_BLOCK)
        )
        self._embed_into(vectors, blocks, self.normalize)
        return vectors

    def encode(
        self,
        texts: Sequence[str | Mapping[str, Any]],
        batch_size: int = TEXTS_AT_A_TIME,
        normalize: bool | None = None,
        dim: int | None = None,
        show_progress: bool = False,
    ) -> np.ndarray:
        """The vectors of texts; zero where nothing of a text is known, and equal rows for equal texts.

        An encoder that was trained with `data.fields` also takes a question as a dictionary of its fields.

        Args:
            texts: [n] strings.
            batch_size: Texts that are cleaned together; it bounds the memory, and changes no vector.
            normalize: Whether vectors have length 1; None: as the encoder was trained.
            dim: Keep the first numbers of each vector, see `askagain.load` (None: all).
            show_progress: Draw a progress bar on stderr, if it is a terminal.

        Returns:
            [n, dim] float32.

        Raises:
            TypeError: A single string in place of a sequence of them.
            InputError: `dim` or `batch_size` out of range, and vectors that are not finite.
        """
        if isinstance(texts, str):
            raise TypeError("texts is one string; give a list of texts")
        if batch_size < 1:
            raise InputError(f"batch_size={batch_size}: must be at least 1")
        normalize = self.normalize if normalize is None else normalize
        if dim is not None:
            self._check_dim(dim)
            if dim < self.dim:
                vectors = self.encode(texts, batch_size, False, None, show_progress)[:, :dim].copy()
                return _scaled(vectors) if normalize else vectors
        vectors = np.empty((len(texts), self.dim), dtype=np.float32)
        self._embed_into(vectors, self._tokenized(texts, batch_size, show_progress), normalize)
        return vectors

    def similarity(self, a: Sequence[str] | np.ndarray, b: Sequence[str] | np.ndarray) -> np.ndarray:
        """The cosine of each text of `a` with each of `b`, [a, b] float32; 0 where nothing of a text is known.

        Vectors of texts, [texts, dim], may stand in place of texts.
        """
        one, other = (unit_vectors(self._vectors_of(part)) for part in (a, b))
        return one @ other.T

    def rank(self, question: str, candidates: Sequence[str] | np.ndarray) -> Ranking:
        """The candidates in the order of their cosine with the question."""
        (scores,) = self.similarity([question], candidates)
        order = np.argsort(-scores, kind="stable")
        return Ranking(order, scores[order])

    def explain(self, question: str, text: str) -> list[ScorePart]:
        """What each pair of a feature of the question and one of the text adds to their cosine, largest first.

        The cosine of two sums of table rows is the sum, over pairs of features, of the product of their rows divided by
        both lengths; means have the same cosine. A feature that a text has twice counts twice.
        """
        return self.explain_all(question, [text])[0]

    def explain_all(self, question: str, texts: Sequence[str], most: int | None = None) -> list[list[ScorePart]]:
        """What `explain` says of each text, the `most` largest parts only (None: all)."""
        bags = self.tokenize([question, *texts])
        asked, asked_rows = self._explained(bags.bag(0))
        explanations = []
        for place in range(len(texts)):
            features, rows = self._explained(bags.bag(1 + place))
            products = (asked_rows @ rows.T).ravel()  # [features of the question * features of the text]
            best = np.argsort(-products, kind="stable")[:most]
            explanations.append(
                [
                    ScorePart(self._feature_name(asked[i]), self._feature_name(features[j]), float(products[part]))
                    for part, (i, j) in zip(best, (divmod(part, len(features)) for part in best.tolist()), strict=True)
                ]
            )
        return explanations

    def _explained(self, bag: np.ndarray) -> tuple[list[int], np.ndarray]:
        """The different features of a text, and what each adds to its vector of length 1: [features, dim] float64."""
        features, counts = np.unique(bag, return_counts=True)
        added = self.table.take(features).astype(np.float64) * counts[:, np.newaxis]
        return features.tolist(), added / max(float(np.linalg.norm(added.sum(axis=0))), SHORTEST)

    def _feature_name(self, feature: int) -> str:
        fields = self.preprocessor.fields or Fields(["title"])
        return fields.named(self.features.name(feature))

    def save(self, path: str | Path, dtype: str | None = None) -> None:
        """Writes an encoder folder that `askagain.load` reads; replaces `path` in one step.

        `dtype`: `float32`, `float16` or `int8` (with a scale for each row); None: as it is. Raises InputError for
        another one.
        """
        from askagain.models.folder import save_encoder

        encoder = self if dtype is None else self.with_table(self.table.as_type(dtype))
        save_encoder(encoder, Path(path))

    def _check_dim(self, dim: int) -> None:
        if not 1 <= dim <= self.dim:
            raise InputError(f"dim={dim}: must be from 1 to {self.dim}, the length of the encoder's vectors")

    def _vectors_of(self, texts: Sequence[str] | np.ndarray) -> np.ndarray:
        if not isinstance(texts, np.ndarray):
            return self.encode(texts)
        vectors = texts.astype(np.float32, copy=False)
        if vectors.ndim != 2 or vectors.shape[1] != self.dim:
            raise InputError(f"vectors have the shape {vectors.shape}; [texts, {self.dim}] is needed")
        return vectors

    def _tokenized(self, texts: Sequence, batch_size: int, show_progress: bool) -> Iterator[tuple[int, Bags]]:
        """Blocks of texts as bags of feature ids, each with the place of its first text."""
        starts: Any = range(0, len(texts), batch_size)
        if show_progress:
            from askagain.files.progress import counted_progress

            starts = counted_progress(starts, len(texts), batch_size, "encoding")
        for start in starts:
            bags = self.tokenize(texts[start : start + batch_size])
            for first in range(0, len(bags), TEXTS_A_BLOCK):
                yield start + first, bags.slice(first, min(first + TEXTS_A_BLOCK, len(bags)))

    def _embed_into(self, vectors: np.ndarray, blocks: Iterator[tuple[int, Bags]], normalize: bool) -> None:
        def put(block: tuple[int, Bags]) -> None:
            start, bags = block
            vectors[start : start + len(bags)] = self._pooled(bags, normalize)

        if len(vectors) <= TEXTS_A_BLOCK:
            for block in blocks:
                put(block)
        else:
            for _ in in_order(put, blocks):  # sums release the interpreter lock, cleaning holds it
                pass

    def _pooled(self, bags: Bags, normalize: bool) -> np.ndarray:
        vectors = self.table.sums(bags)
        if self.pooling == "mean":
            vectors /= np.maximum(bags.lengths, 1).astype(np.float32)[:, np.newaxis]
        return _scaled(vectors) if normalize else vectors


def _composed(record: Any, fields: Fields) -> str:
    if not isinstance(record, Mapping):
        raise TypeError(f"{record!r:.40} is neither a text nor a dictionary of fields")
    return fields.compose(record)


def check_pooling(pooling: str) -> None:
    """Raises InputError for a pooling that is not one of `POOLINGS`."""
    if pooling not in POOLINGS:
        raise InputError(f"pooling={pooling}: not one of {', '.join(POOLINGS)}")


def unit_vectors(vectors: np.ndarray) -> np.ndarray:
    """[n, dim] float32 at length 1, zero rows unchanged; raises InputError for a length that is not finite."""
    return _scaled(np.array(vectors, dtype=np.float32))


def _scaled(vectors: np.ndarray) -> np.ndarray:
    """Scales the vectors in place to length 1, and returns them; zero stays zero."""
    with np.errstate(over="ignore"):
        lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
    if not np.isfinite(lengths).all():  # divided by it, vectors would become 0
        raise InputError(
            "the encoder gives vectors that are not finite, or too long for float32: train it again with a lower "
            "optimizer.lr, or choose another encoder"
        )
    vectors /= np.maximum(lengths, SHORTEST)[:, np.newaxis]
    return vectors
