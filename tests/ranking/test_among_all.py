import numpy as np
import pytest
from scipy.sparse import csr_array

from askagain.models.bag_encoder import unit_vectors
from askagain.ranking.among_all import rank_among_all
from askagain.ranking.metrics import compute_metrics
from askagain.text.bags import Bags

SEED = 17
TEXTS = 90


def ranked(vectors, questions: np.ndarray, duplicates: list[list[int]], blocks: tuple[int, int]):
    def rows(texts: np.ndarray):
        return vectors[texts]

    return rank_among_all(TEXTS, questions, Bags.from_lists(duplicates), rows, rows, *blocks)


def questions_and_duplicates(rng: np.random.Generator) -> tuple[np.ndarray, list[list[int]]]:
    questions = rng.choice(TEXTS, size=25, replace=False)
    others = [np.delete(np.arange(TEXTS), question) for question in questions]
    return questions, [rng.choice(texts, size=rng.integers(1, 8), replace=False).tolist() for texts in others]


def by_loops(scores: np.ndarray, questions: np.ndarray, duplicates: list[list[int]]) -> tuple[list[int], list[int]]:
    above, tied = [], []
    for question, own in zip(questions, duplicates, strict=True):
        for duplicate in own:
            others = [scores[question, text] for text in range(TEXTS) if text not in (question, duplicate)]
            above.append(sum(score > scores[question, duplicate] for score in others))
            tied.append(sum(score == scores[question, duplicate] for score in others))
    return above, tied


@pytest.fixture(params=[(1 << 13, 1 << 10), (7, 3), (1, 1)], ids=["one block", "small blocks", "blocks of one"])
def blocks(request) -> tuple[int, int]:
    return request.param


def test_sparse_ranks_are_those_of_a_loop_over_all_texts(blocks):
    print(f"seed {SEED}")
    rng = np.random.default_rng(SEED)
    counts = rng.integers(0, 3, (TEXTS, 6)) * (rng.random((TEXTS, 6)) < 0.4)  # whole numbers: many ties, and exact
    questions, duplicates = questions_and_duplicates(rng)
    found = ranked(csr_array(counts.astype(float)), questions, duplicates, blocks)
    above, tied = by_loops(counts @ counts.T, questions, duplicates)
    assert (found.above.tolist(), found.tied.tolist()) == (above, tied)
    assert sum(tied) > 100
    assert found.row.tolist() == [row for row, own in enumerate(duplicates) for _ in own]


def test_duplicates_that_nearly_tie_have_ranks_that_agree_with_each_other(blocks):
    seed = np.random.SeedSequence().entropy
    print(f"seed {seed}")
    rng = np.random.default_rng(seed)
    vectors = rng.standard_normal((TEXTS, 40))
    vectors[:20] = vectors[0] + 1e-7 * rng.standard_normal((20, 40))  # as alike as rounding lets them be
    questions = np.arange(20, 60)
    duplicates = [list(range(20))] * len(questions)
    found = ranked(unit_vectors(vectors.astype(np.float32)), questions, duplicates, blocks)
    for question in range(len(questions)):
        of_question = found.row == question
        above, tied = found.above[of_question], found.tied[of_question]
        for rank in np.unique(above):  # all that have so many above them are tied with each other
            assert (tied[above == rank] + 1 == (above == rank).sum()).all()
    assert all(np.isfinite(value) for value in compute_metrics(found, [1, 10]).values())


@pytest.mark.parametrize("dim", [3, 300])
def test_dense_ranks_are_those_of_a_loop_and_equal_vectors_tie_exactly(blocks, dim):
    print(f"seed {SEED}")
    rng = np.random.default_rng(SEED)
    kinds = rng.integers(0, 30, TEXTS)  # texts of one kind have one vector; those of the first have none
    distinct = rng.standard_normal((30, dim)) * (np.arange(30) > 0)[:, np.newaxis]
    questions, duplicates = questions_and_duplicates(rng)
    found = ranked(unit_vectors(distinct[kinds].astype(np.float32)), questions, duplicates, blocks)
    units = distinct / np.linalg.norm(distinct, axis=1, keepdims=True).clip(1e-9)
    above, tied = by_loops((units @ units.T)[kinds][:, kinds], questions, duplicates)
    assert (found.above.tolist(), found.tied.tolist()) == (above, tied)


def test_a_duplicate_does_not_compete_with_itself_where_its_vector_differs_from_batch_to_batch():
    vectors = np.random.default_rng(SEED).standard_normal((TEXTS, 8)).astype(np.float32)
    vectors[1] = vectors[0]  # the duplicate is first

    def jittered(texts: np.ndarray) -> np.ndarray:
        return unit_vectors(vectors[texts] * (1 + 1e-7 * np.arange(len(texts))[:, np.newaxis]).astype(np.float32))

    found = rank_among_all(TEXTS, np.array([0]), Bags.from_lists([[1]]), jittered, jittered)
    assert (found.above.tolist(), found.tied.tolist()) == ([0], [0])
