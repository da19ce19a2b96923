"""What a report tells of an encoder: quality by dims, reliability, what carried wrong candidates, words on a map."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from askagain.corpus.token_store import TokenStore
from askagain.errors import InputError
from askagain.evaluation.explanation import score_parts
from askagain.evaluation.pair_scores import FEWEST_GROUPS, count_pairs, groups_of_pairs
from askagain.evaluation.thresholds import Thresholds, cross_fitted_reliability, learn_thresholds
from askagain.evaluation.worst_ranked import WorstRanked
from askagain.models.bag_encoder import BagEncoder, unit_vectors
from askagain.ranking.metrics import reciprocal_rank
from askagain.ranking.ranks import Ranks, rank_duplicates
from askagain.ranking.significance import intervals
from askagain.text.fields import MARK, title_of

MAP_ITERATIONS = 300  # of t-SNE, which needs 250 at least
MAP_ANGLE = 0.8  # of t-SNE: how coarse far words are taken together; half of the time of its usual 0.5
MAP_NEIGHBOURS = 12  # its perplexity
MAP_COLUMNS = 50  # of principal components that it begins with
FEWEST_MAPPED = 3 * MAP_NEIGHBOURS  # words; with fewer, their two principal components are drawn


def quality_by_dims(
    vectors: np.ndarray,
    ranking: TokenStore,
    whole: Ranks,
    dims: Sequence[int],
    ties: str,
    bootstrap: Mapping[str, Any],
) -> list[dict[str, float]]:
    """MRR, with its interval, of the first columns of an encoder.

    Args:
        vectors: [texts, dim] of all texts of `ranking`.
        ranking: a ranking set.
        whole: the ranks of its rows by all columns, which come last.
        dims: how many columns; numbers that the encoder does not have are left out.
        ties: see `askagain.ranking.metrics.hits_at_k`.
        bootstrap: `confidence`, `resamples` and `seed` of `askagain.ranking.significance.intervals`.
    """
    rows, values = ranking.rows, {}
    for dim in sorted({dim for dim in dims if dim < vectors.shape[1]}):
        ranks = rank_duplicates(np.ascontiguousarray(vectors[:, :dim]), rows.ids, rows.offsets)
        values[str(dim)] = reciprocal_rank(ranks, ties)
    values[str(vectors.shape[1])] = reciprocal_rank(whole, ties)
    ends = intervals(values, **bootstrap)
    return [
        {"dim": int(dim), "mrr": float(values[dim].mean()), "low": ends[dim][0], "high": ends[dim][1]} for dim in values
    ]


def reliability_of(
    vectors: np.ndarray, ranking: TokenStore, others: int, texts: int, seed: int = 0
) -> tuple[dict[str, Any], Thresholds | None]:
    """Learns probabilities from the validation groups, and whether they hold for groups held out of learning them.

    Args:
        vectors: [texts, dim] of all texts of `ranking`.
        ranking: a ranking set, whose rows that share a question or a duplicate are one group.
        others: texts that a question is compared with beside its duplicate.
        texts: the most texts to compare questions with; more are drawn from.
        seed: of what is drawn.

    Returns:
        `predicted`, `actual`, `weights` and `error` of `askagain.evaluation.thresholds.Reliability`, and how many
        `groups` and `others` there are; or `missing`: why there is none. And what was learned, if something was.
    """
    rows = [ranking.rows.bag(row)[:2].tolist() for row in range(len(ranking.rows))]
    groups = groups_of_pairs(rows, len(ranking.texts))
    if len(groups) < FEWEST_GROUPS:
        few = f"Probabilities are learned from groups; {len(groups)} are too few, {FEWEST_GROUPS} are needed."
        return {"missing": few}, None
    members = np.unique(np.concatenate(groups))
    rest = np.setdiff1d(np.arange(len(ranking.texts)), members)
    drawn = np.random.default_rng(seed).permutation(rest)[: max(0, texts - len(members))]
    chosen = np.sort(np.concatenate([members, drawn]))
    if len(chosen) <= max(map(len, groups)):
        return {"missing": "The validation rows have no text outside of a group to compare with."}, None
    counts = count_pairs(unit_vectors(vectors[chosen]), [np.searchsorted(chosen, group) for group in groups])
    try:
        learned, _ = learn_thresholds(counts, others, seed=seed)
        checked = asdict(cross_fitted_reliability(counts, learned, seed))
    except (InputError, ValueError) as error:  # scikit-learn refuses what has only one class
        return {"missing": f"No probabilities could be learned from the validation groups ({error})."}, None
    facts = {**learned.facts, "groups": len(groups), "texts": len(chosen), "reliability": checked}
    return checked | {"groups": len(groups), "others": others}, replace(learned, facts=facts)


def explained(worst: Sequence[WorstRanked], encoder: BagEncoder, features: int) -> list[dict[str, Any]]:
    """The worst ranked questions, each with its duplicate and the candidates above it, and what carried each score.

    `features`: pairs of features that are shown of each score.
    """
    rows = []
    for row in worst:
        shown = []
        for candidate in (row.duplicate, *row.above):
            parts = [part for part in score_parts(encoder, row.question, candidate.text) or [] if part.score > 0]
            carried = [[part.question_feature, part.candidate_feature, part.score] for part in parts[:features]]
            shown.append({"text": title_of(candidate.text), "cosine": candidate.score, "carried": carried})
        rows.append({"question": title_of(row.question), "rank": row.rank, "duplicate": shown[0], "above": shown[1:]})
    return rows


def nearest_words(
    encoder: BagEncoder, known: Sequence[str], unknown: Sequence[str], among: Sequence[str], neighbours: int
) -> list[dict[str, Any]]:
    """The nearest words of known and of unknown words, with their cosines; words without a vector are left out.

    Args:
        encoder: whose vectors count.
        known: words that it knows.
        unknown: words that it makes of their letters alone, if it can.
        among: the words that are looked for.
        neighbours: how many of each.
    """
    words = [*known, *unknown]
    vectors, others = word_vectors(encoder, words), word_vectors(encoder, among)
    found = []
    for place, word in enumerate(words):
        if not vectors[place].any():
            continue
        cosines = others @ vectors[place]
        best = [i for i in np.argsort(-cosines, kind="stable")[: neighbours + 1].tolist() if among[i] != word]
        nearest = [[among[i], float(cosines[i])] for i in best[:neighbours]]
        found.append({"word": word, "known": place < len(known), "nearest": nearest})
    return found


def word_vectors(encoder: BagEncoder, words: Sequence[str]) -> np.ndarray:
    """The vectors of words as they are in a text by themselves, [words, dim] float32 of length 1 or 0."""
    if not words:
        return np.zeros((0, encoder.dim), dtype=np.float32)
    return unit_vectors(encoder.embed(encoder.features.word_bags(list(words)).sorted_within()))


def frequent_words(encoder: BagEncoder, words: Sequence[str], counts: np.ndarray) -> tuple[list[int], list[int]]:
    """The places of known and of unknown words among `words`, most frequent first; marked words are left out."""
    order = np.argsort(-counts, kind="stable")
    is_known = encoder.features.vocabulary.indices(words) >= 0
    titles = [i for i in order.tolist() if not MARK.match(words[i])]
    return [i for i in titles if is_known[i]], [i for i in titles if not is_known[i]]


def word_map(encoder: BagEncoder, words: Sequence[str], counts: Sequence[int], seed: int) -> dict[str, list[Any]]:
    """A place on a plane for each word, `word`, `count`, `x` and `y`: words with similar vectors are close together.

    By t-SNE, of the principal components: see van der Maaten and Hinton, "Visualizing Data using t-SNE", 2008. Words
    without a vector are left out.
    """
    vectors = word_vectors(encoder, words)
    kept = np.flatnonzero(vectors.any(axis=1)).tolist()
    if len(kept) < 2:
        return {"word": [], "count": [], "x": [], "y": []}
    places = _on_a_plane(vectors[kept], seed)
    return {
        "word": [words[i] for i in kept],
        "count": [int(counts[i]) for i in kept],
        "x": [round(float(x), 2) for x in places[:, 0]],
        "y": [round(float(y), 2) for y in places[:, 1]],
    }


def _on_a_plane(vectors: np.ndarray, seed: int) -> np.ndarray:
    """[words, 2]."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):  # so little work for several threads that they mostly wait for each other
        centred = vectors - vectors.mean(axis=0)
        _, axes = np.linalg.eigh(centred.T @ centred)
        components = np.zeros((len(vectors), max(2, min(MAP_COLUMNS, vectors.shape[1]))), dtype=np.float32)
        kept = centred @ axes[:, ::-1][:, : components.shape[1]]
        components[:, : kept.shape[1]] = kept
        if len(vectors) < FEWEST_MAPPED or not components[:, 0].any():
            return components[:, :2]
        from sklearn.manifold import TSNE

        first = components[:, :2] / components[:, 0].std() * 1e-4
        return TSNE(
            init=first,
            perplexity=MAP_NEIGHBOURS,
            max_iter=MAP_ITERATIONS,
            angle=MAP_ANGLE,
            random_state=seed,
            n_jobs=1,
        ).fit_transform(components)
