"""Ranks a ranking set with an encoder; training's callback and `evaluate.py` both do it here."""

import time
from collections.abc import Sequence

import numpy as np

from askagain.corpus.token_store import TokenStore
from askagain.errors import InputError
from askagain.models.bag_encoder import BagEncoder
from askagain.models.encoder import Encoder
from askagain.ranking.figures import figures
from askagain.ranking.ranks import rank_duplicates


def ranking_figures(encoder: Encoder, ranking: TokenStore, ks: Sequence[int], ties: str) -> dict[str, float]:
    """The figures of an encoder on a ranking set, and the `seconds` that embedding and ranking took.

    Each distinct text is embedded once, a `BagEncoder`'s from the token store. `ks`, `ties`: see `figures`.
    Raises InputError where the encoder gives no [texts, dim] float32, or values that are not finite.
    """
    began = time.perf_counter()
    vectors = _embed(encoder, ranking)
    if vectors.dtype != np.float32 or vectors.shape != (len(ranking.texts), encoder.dim):
        raise InputError(
            f"the encoder gives {vectors.dtype} {vectors.shape}; float32 {(len(ranking.texts), encoder.dim)} is needed"
        )
    ranks = rank_duplicates(vectors, ranking.rows.ids, ranking.rows.offsets)
    return figures(ranks, ks, ties) | {"seconds": time.perf_counter() - began}


def _embed(encoder: Encoder, ranking: TokenStore) -> np.ndarray:
    if isinstance(encoder, BagEncoder):
        return encoder.embed(ranking.features(encoder.preprocessor, encoder.features))
    return np.asarray(encoder.encode(ranking.texts))
