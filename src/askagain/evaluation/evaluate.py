"""Evaluates any ranker on a ranking set or among all texts of a corpus, in training and in `evaluate.py` alike."""

import logging
import time
from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np

from askagain.corpus.cache import finish_checks
from askagain.corpus.token_store import TokenStore
from askagain.distributed.collectives import World
from askagain.errors import InputError
from askagain.evaluation.combined import RowRanker
from askagain.evaluation.full_corpus import FullRanking
from askagain.files.progress import with_progress
from askagain.models.bag_encoder import BagEncoder, unit_vectors
from askagain.models.encoder import Encoder
from askagain.models.lexical import LexicalRanker
from askagain.ranking.among_all import rank_among_all
from askagain.ranking.metrics import Metrics, OwnMetrics, compute_metrics
from askagain.ranking.products import Vectors
from askagain.ranking.ranks import Ranks, rank_duplicates, rank_scores, rank_sparse
from askagain.text.bags import Bags

Ranker = Encoder | LexicalRanker | RowRanker
VectorsOf: TypeAlias = Callable[[np.ndarray], Vectors]

log = logging.getLogger(__name__)


def ranking_metrics(
    encoder: Encoder,
    ranking: TokenStore,
    ks: Sequence[int],
    ties: str,
    world: World | None = None,
    own: OwnMetrics | None = None,
) -> Metrics:
    """The metrics of an encoder on a ranking set; see `evaluate_ranking`."""
    return evaluate_ranking(encoder, ranking, ks, ties, world, own)[0]


def evaluate_ranking(
    ranker: Ranker,
    ranking: TokenStore,
    ks: Sequence[int],
    ties: str,
    world: World | None = None,
    own: OwnMetrics | None = None,
) -> tuple[Metrics, Ranks]:
    """Ranks the candidates of each row of a ranking set. Each distinct text is embedded once.

    Args:
        ranker: an encoder, or a ranker that counts terms.
        ranking: rows of question, duplicate and negatives.
        ks: the values of K in Hits@K.
        ties: how candidates that tie with the duplicate count, see `askagain.ranking.metrics.hits_at_k`.
        world: the processes that share the rows; all must call this, and all get the same metrics.
        own: metrics of your own, see `askagain.ranking.metrics.per_query_metrics`.

    Returns:
        The metrics, with the `seconds` that embedding and ranking took, and the ranks of all rows.

    Raises:
        InputError: the encoder gives something other than [texts, dim] float32, or values that are not finite.
    """
    began = time.perf_counter()
    world = world or World()
    rows, texts = ranking.rows, None
    if world.size > 1:
        shard = world.shard(len(rows))
        rows = rows.slice(shard.start, shard.stop)
        texts, ids = np.unique(rows.ids, return_inverse=True)
        rows = Bags(ids, rows.offsets)
    if isinstance(ranker, RowRanker):
        ranks = rank_scores(ranker.row_scores(_strings(ranking, texts), rows))
    elif isinstance(ranker, LexicalRanker):
        strings = _strings(ranking, texts)
        questions = ranker.questions(with_progress(strings, len(strings), "weighing words of questions"))
        candidates = ranker.candidates(with_progress(strings, len(strings), "weighing words of candidates"))
        ranks = rank_sparse(questions, candidates, rows.ids, rows.offsets)
    else:
        vectors = embed(ranker, ranking, texts)
        _check(vectors, ranker, len(ranking.texts) if texts is None else len(texts))
        if not vectors.any():
            log.warning("%s: the encoder knows no word of it, so that all candidates of a row tie", ranking.path)
        ranks = rank_duplicates(vectors, rows.ids, rows.offsets)
    finish_checks()
    ranks = Ranks(*(world.all_gather(part, len(ranking.rows)) for part in (ranks.above, ranks.tied)))
    return compute_metrics(ranks, ks, ties, own) | {"seconds": time.perf_counter() - began}, ranks


def evaluate_full_corpus(
    ranker: Ranker, ranking: FullRanking, ks: Sequence[int], ties: str, own: OwnMetrics | None = None
) -> tuple[Metrics, Ranks]:
    """Like `evaluate_ranking` with every text of a corpus as a candidate; embeds the texts block by block."""
    began = time.perf_counter()
    ranks = rank_among_all(
        len(ranking.texts), ranking.questions, ranking.duplicates, *text_vectors(ranker, ranking.texts)
    )
    finish_checks()
    return compute_metrics(ranks, ks, ties, own) | {"seconds": time.perf_counter() - began}, ranks


def text_vectors(ranker: Ranker, texts: Sequence[str]) -> tuple[VectorsOf, VectorsOf]:
    """Two functions that give the vectors of texts, by index, as questions and as candidates of `products`."""
    if isinstance(ranker, RowRanker):
        raise InputError("this ranker ranks the candidates of rows only, not all texts; leave candidate_set as it is")
    if isinstance(ranker, LexicalRanker):
        return (
            lambda indices: ranker.questions([texts[i] for i in indices]),
            lambda indices: ranker.candidates([texts[i] for i in indices]),
        )

    def unit(indices: np.ndarray) -> Vectors:
        vectors = np.asarray(ranker.encode([texts[i] for i in indices]))
        _check(vectors, ranker, len(indices))
        return unit_vectors(vectors)

    return unit, unit


def _check(vectors: np.ndarray, encoder: Encoder, count: int) -> None:
    """Raises InputError where the vectors of `count` texts do not have the shape and type that an encoder promises."""
    if vectors.dtype != np.float32 or vectors.shape != (count, encoder.dim):
        raise InputError(f"the encoder gives {vectors.dtype} {vectors.shape}; float32 {(count, encoder.dim)} is needed")


def embed(encoder: Encoder, ranking: TokenStore, texts: np.ndarray | None) -> np.ndarray:
    """The vectors of texts of a ranking set, by index (None: all); a `BagEncoder` reads its bags from the store."""
    if isinstance(encoder, BagEncoder):
        bags = ranking.features(encoder.preprocessor, encoder.features)
        return encoder.embed(bags if texts is None else bags.take(texts))
    return np.asarray(encoder.encode(_strings(ranking, texts)))


def _strings(ranking: TokenStore, texts: np.ndarray | None) -> Sequence[str]:
    """The texts of a ranking set, by index (None: all)."""
    return ranking.texts if texts is None else [ranking.texts[i] for i in texts]
