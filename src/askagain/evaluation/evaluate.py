"""Ranks a ranking set, or all texts of a corpus, with any ranker; training's callback and `evaluate.py` do it here."""

import time
from collections.abc import Sequence

import numpy as np

from askagain.corpus.token_store import TokenStore
from askagain.distributed.collectives import World
from askagain.errors import InputError
from askagain.evaluation.full_corpus import FullRanking
from askagain.models.bag_encoder import BagEncoder
from askagain.models.encoder import Encoder
from askagain.models.lexical import LexicalRanker
from askagain.ranking.among_all import rank_among_all
from askagain.ranking.metrics import compute_metrics
from askagain.ranking.products import Vectors, unit_vectors
from askagain.ranking.ranks import Ranks, rank_duplicates, rank_sparse
from askagain.text.bags import Bags

Ranker = Encoder | LexicalRanker


def ranking_metrics(
    encoder: Encoder, ranking: TokenStore, ks: Sequence[int], ties: str, world: World | None = None
) -> dict[str, float]:
    """The metrics of an encoder on a ranking set, with the `seconds` it took; see `evaluate_ranking`."""
    return evaluate_ranking(encoder, ranking, ks, ties, world)[0]


def evaluate_ranking(
    ranker: Ranker, ranking: TokenStore, ks: Sequence[int], ties: str, world: World | None = None
) -> tuple[dict[str, float], Ranks]:
    """The figures of a ranker on a ranking set, with the `seconds` that embedding and ranking took, and the ranks.

    Each distinct text is embedded once, a `BagEncoder`'s from the token store. `ks`, `ties`: see `figures`. `world`:
    processes that share the rows; all must call this, and all get the same figures.
    Raises InputError where the encoder gives no [texts, dim] float32, or values that are not finite.
    """
    began = time.perf_counter()
    world = world or World()
    rows, texts = ranking.rows, None
    if world.size > 1:
        share = world.shard(len(rows))
        rows = rows.slice(share.start, share.stop)
        texts, ids = np.unique(rows.ids, return_inverse=True)
        rows = Bags(ids, rows.offsets)
    if isinstance(ranker, LexicalRanker):
        some = ranking.texts if texts is None else [ranking.texts[i] for i in texts]
        ranks = rank_sparse(ranker.questions(some), ranker.candidates(some), rows.ids, rows.offsets)
    else:
        vectors = embed(ranker, ranking, texts)
        _check(vectors, ranker, len(ranking.texts) if texts is None else len(texts))
        ranks = rank_duplicates(vectors, rows.ids, rows.offsets)
    above, tied = (world.all_gather(part, len(ranking.rows)) for part in (ranks.above, ranks.tied))
    ranks = Ranks(above, tied)
    return compute_metrics(ranks, ks, ties) | {"seconds": time.perf_counter() - began}, ranks


def evaluate_full_corpus(
    ranker: Ranker, ranking: FullRanking, ks: Sequence[int], ties: str
) -> tuple[dict[str, float], Ranks]:
    """The same with every text of a corpus as a candidate; texts are embedded block by block."""
    began = time.perf_counter()
    vectors = TextVectors(ranker, ranking.texts)
    ranks = rank_among_all(
        len(ranking.texts), ranking.questions, ranking.duplicates, vectors.of_questions, vectors.of_candidates
    )
    return compute_metrics(ranks, ks, ties) | {"seconds": time.perf_counter() - began}, ranks


class TextVectors:
    """What a ranker makes of some of `texts`, by index, as questions and as candidates: see `products`."""

    def __init__(self, ranker: Ranker, texts: Sequence[str]) -> None:
        self._ranker = ranker
        self._texts = texts

    def of_questions(self, indices: np.ndarray) -> Vectors:
        """[indices] vectors, those of an encoder of length 1 or 0."""
        if isinstance(self._ranker, LexicalRanker):
            return self._ranker.questions([self._texts[i] for i in indices])
        return self._encoded(self._ranker, indices)

    def of_candidates(self, indices: np.ndarray) -> Vectors:
        """Likewise."""
        if isinstance(self._ranker, LexicalRanker):
            return self._ranker.candidates([self._texts[i] for i in indices])
        return self._encoded(self._ranker, indices)

    def _encoded(self, encoder: Encoder, indices: np.ndarray) -> np.ndarray:
        vectors = np.asarray(encoder.encode([self._texts[i] for i in indices]))
        _check(vectors, encoder, len(indices))
        return unit_vectors(vectors)


def _check(vectors: np.ndarray, encoder: Encoder, count: int) -> None:
    """Raises InputError where vectors of `count` texts are not what an encoder should give."""
    if vectors.dtype != np.float32 or vectors.shape != (count, encoder.dim):
        raise InputError(f"the encoder gives {vectors.dtype} {vectors.shape}; float32 {(count, encoder.dim)} is needed")


def embed(encoder: Encoder, ranking: TokenStore, texts: np.ndarray | None) -> np.ndarray:
    """The vectors of some texts of a ranking set, by index, a `BagEncoder`'s from the token store; None for all."""
    if isinstance(encoder, BagEncoder):
        bags = ranking.features(encoder.preprocessor, encoder.features)
        return encoder.embed(bags if texts is None else bags.take(texts))
    return np.asarray(encoder.encode(ranking.texts if texts is None else [ranking.texts[i] for i in texts]))
