"""Rankers of two rankers: their ranks are those of a loop, and the command takes them."""

import json

import numpy as np
import pytest

from askagain.corpus.cache import Cache
from askagain.corpus.token_store import TokenStore
from askagain.errors import InputError
from askagain.evaluation.combined import Hybrid, Reranked
from askagain.evaluation.evaluate import evaluate_ranking, text_vectors
from askagain.evaluation.worst_ranked import worst_ranked
from askagain.models.lexical import Bm25
from askagain.ranking.fusion import fused
from askagain.ranking.products import products
from tests.search.conftest import WORDS, small_encoder

ROWS, CANDIDATES = 25, 30


class LettersInCommon:
    """A model that knows how many letters two texts share."""

    def __init__(self):
        self.asked = []

    def scores(self, question, candidates):
        self.asked.append(len(candidates))
        return np.array([len(set(question) & set(text)) / 26 for text in candidates])


@pytest.fixture
def ranking(tmp_path):
    random = np.random.default_rng(0)
    rows = [
        list(dict.fromkeys(" ".join(random.choice(WORDS, random.integers(1, 6))) for _ in range(CANDIDATES)))
        for _ in range(ROWS)
    ]
    path = tmp_path / "validation.tsv"
    path.write_text("".join("\t".join(row) + "\n" for row in rows))
    return TokenStore(path, 3, "error", Cache(tmp_path / "cache"))


def rows_of(ranking):
    return [[ranking.texts[text] for text in ranking.rows.bag(row).tolist()] for row in range(len(ranking.rows))]


def bm25(ranking):
    ranker = Bm25(small_encoder().preprocessor, 1.2, 0.75)
    ranker.fit(list(ranking.texts))
    return ranker


def expected_ranks(scores):
    return [(int((row[1:] > row[0]).sum()), int((row[1:] == row[0]).sum())) for row in scores]


def test_a_hybrid_ranks_by_the_sum_of_both_z_scores(ranking):
    encoder, ranker = small_encoder(), bm25(ranking)
    _, ranks = evaluate_ranking(Hybrid(encoder, ranker, 0.5), ranking, [1, 10], "expected")
    scores = []
    for question, *candidates in rows_of(ranking):
        cosines = np.round(encoder.similarity([question], candidates)[0], 6).astype(np.float64)
        terms = products(ranker.questions([question]), ranker.candidates(candidates))[0]
        scores.append(fused(cosines, terms, 0.5))
    assert list(zip(ranks.above.tolist(), ranks.tied.tolist(), strict=True)) == expected_ranks(scores)
    _, alone = evaluate_ranking(Hybrid(encoder, ranker, 0.0), ranking, [1], "expected")
    _, encoders = evaluate_ranking(encoder, ranking, [1], "expected")
    assert np.array_equal(alone.above, encoders.above)


def test_the_best_candidates_are_reordered_and_the_others_stay_behind_them(ranking):
    encoder, model = small_encoder(), LettersInCommon()
    reranker = Reranked(encoder, model, candidates=5, kept=0.3)
    _, ranks = evaluate_ranking(reranker, ranking, [1], "expected")
    for row, (question, *candidates) in enumerate(rows_of(ranking)):
        cosines = np.round(encoder.similarity([question], candidates)[0], 6)
        first = np.flatnonzero(cosines >= np.sort(cosines)[-5])
        own = LettersInCommon().scores(question, candidates) + 0.3 * cosines
        if 0 in first:
            above = sum(own[place] > own[0] + 1e-9 for place in first)
            tied = sum(abs(own[place] - own[0]) <= 1e-9 for place in first) - 1
        else:
            above, tied = (cosines > cosines[0]).sum(), (cosines[1:] == cosines[0]).sum()
        assert (ranks.above[row], ranks.tied[row]) == (above, tied), row
    assert min(model.asked) >= 5 and np.mean(model.asked) < 10
    whole = Reranked(Hybrid(encoder, bm25(ranking), 0.1), model, candidates=5, kept=0.3)
    worst = worst_ranked(whole, ranking, evaluate_ranking(whole, ranking, [1], "expected")[1], 5, 3)
    assert worst[0].rank >= worst[-1].rank > 1 and all(row.above[0].score >= row.duplicate.score for row in worst)


def test_settings_out_of_range_and_all_texts_of_a_corpus_are_refused(ranking):
    with pytest.raises(InputError, match="weight=-1: must be 0 or more"):
        Hybrid(small_encoder(), bm25(ranking), -1)
    with pytest.raises(InputError, match="candidates=0: must be at least 1"):
        Reranked(small_encoder(), LettersInCommon(), 0, 0.3)
    with pytest.raises(InputError, match="ranks the candidates of rows only"):
        text_vectors(Hybrid(small_encoder(), bm25(ranking), 0.1), ["a"])


def test_the_command_ranks_with_a_hybrid(command, tmp_path, ranking):
    small_encoder().save(tmp_path / "run" / "encoder")
    (tmp_path / "train.tsv").write_text("quit vim\tleave vim\n")
    words = ["ranker=hybrid", f"ranker.encoder.path={tmp_path / 'run'}", "data=tsv", f"data.dir={tmp_path}"]
    found = {}
    for weight in ("0", "0.5"):
        answer = command("evaluate.py", *words, f"ranker.weight={weight}", f"hydra.run.dir={tmp_path / weight}")
        assert answer.returncode == 0, answer.stderr
        found[weight] = json.loads((tmp_path / weight / "metrics.json").read_text())["val/mrr"]
    alone = evaluate_ranking(small_encoder(), ranking, [1], "expected")[0]["mrr"]
    assert found["0"] == pytest.approx(alone, abs=1e-6) and found["0.5"] != found["0"]
    refused = command("evaluate.py", *words, "ranker.weight=-1")
    assert refused.returncode == 2 and "ranker.weight=-1" in refused.stderr
