"""The similarity, Matryoshka and distillation losses against plain transcriptions."""

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from askagain.errors import InputError
from askagain.training.losses.distillation import DistillationLoss
from askagain.training.losses.matryoshka import MatryoshkaLoss
from askagain.training.losses.nt_xent import NTXentLoss
from askagain.training.losses.similarity import SimilarityLoss


def vectors(*shape, seed=3):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def test_the_similarity_loss_is_the_divergence_of_softmax_rows_without_the_diagonal():
    student, teacher = normalize(vectors(5, 4)), normalize(vectors(5, 7, seed=4))
    expected = 0.0
    for i in range(5):
        rows = [np.array([float(v[i] @ v[j]) / 0.2 for j in range(5) if j != i]) for v in (student, teacher)]
        q, p = (np.exp(row) / np.exp(row).sum() for row in rows)
        expected += float((p * np.log(p / q)).sum()) / 5
    loss = SimilarityLoss(temperature=0.2)
    assert float(loss(3 * student, teacher=teacher)) == pytest.approx(expected)
    assert float(loss(teacher, teacher=teacher)) == pytest.approx(0)
    assert float(loss(student[:2], teacher=teacher[:2])) == 0


def test_matryoshka_adds_the_mean_loss_of_shortened_vectors_and_negatives():
    queries, positives, negatives = vectors(6, 32), vectors(6, 32, seed=4), vectors(2, 32, seed=5)
    groups = torch.tensor([0, 1, 0, 2, 3, 4, 1, 9])
    loss = NTXentLoss()
    whole, *short = (
        loss(queries[:, :dim], positives[:, :dim], negatives=negatives[:, :dim], groups=groups) for dim in (32, 16, 8)
    )
    wrapped = MatryoshkaLoss(loss, dims=[16, 8, 99, 32], weight=0.5)
    value = wrapped(queries, positives, negatives=negatives, groups=groups)
    torch.testing.assert_close(value, whole + 0.5 * sum(short) / 2)
    assert torch.equal(MatryoshkaLoss(loss, dims=[])(queries, positives), loss(queries, positives))


def test_the_distillation_loss_is_the_weighted_sum_of_its_parts():
    texts, teacher, duplicates = vectors(6, 16), normalize(vectors(6, 16, seed=4)), vectors(2, 16, seed=5)
    pairs = {"queries": texts[:2], "positives": duplicates, "groups": torch.tensor([3, 4])}
    nt_xent, similarity = NTXentLoss(), SimilarityLoss(0.2)
    cosines = (normalize(texts) * teacher).sum(dim=1)
    expected = 2.0 * (1 - cosines).mean()
    for dim, weight in ((16, 1.0), (8, 0.05), (4, 0.05)):
        expected = expected + weight * 3.0 * similarity(texts[:, :dim], teacher=teacher)
        expected = expected + weight * 0.3 * nt_xent(texts[:2, :dim], duplicates[:, :dim], groups=pairs["groups"])
    settings = {"matryoshka_dims": [4, 8], "matryoshka_weight": 0.1, "similarity_temperature": 0.2}
    loss = DistillationLoss(nt_xent, vector_weight=2.0, similarity_weight=3.0, nt_xent_weight=0.3, **settings)
    torch.testing.assert_close(loss(texts, teacher, **pairs), expected)
    none = {"queries": texts[:0], "positives": duplicates[:0], "groups": pairs["groups"][:0]}
    alone = DistillationLoss(nt_xent, 2.0, 3.0, 0.2, 0.0, **{"matryoshka_dims": [4, 8]})
    torch.testing.assert_close(loss(texts, teacher, **none), alone(texts, teacher, **pairs))


def test_settings_that_leave_nothing_to_learn_from_are_refused():
    with pytest.raises(InputError, match="vector_weight=0, similarity_weight=0"):
        DistillationLoss(NTXentLoss(), vector_weight=0.0, similarity_weight=0.0)
    with pytest.raises(InputError, match="learn_temperature"):
        DistillationLoss(NTXentLoss(learn_temperature=True), nt_xent_weight=0.0)
