"""NT-Xent against a plain transcription of its formula, in value and in gradients."""

import math

import pytest
import torch

from askagain.training import nt_xent as module

SEED = 5


def nt_xent(queries, positives, groups=None, temperature=0.1, eps=1e-8):
    return module.nt_xent(queries, positives, groups, temperature, eps)


def transcription(queries, positives, groups, temperature):
    """L = mean_i of -1/2 log softmax_row(Q D'/t)_ii - 1/2 log softmax_row(D Q'/t)_ii, one term at a time."""
    b = len(queries)
    unit_queries = [query / query.norm() for query in queries]
    unit_positives = [positive / positive.norm() for positive in positives]

    def one_direction(i, anchors, others):
        kept = [j for j in range(b) if j == i or groups is None or groups[j] != groups[i]]
        exponentials = [((anchors[i] * others[j]).sum() / temperature).exp() for j in kept]
        return -((anchors[i] * others[i]).sum() / temperature).exp().div(sum(exponentials)).log()

    terms = [
        one_direction(i, unit_queries, unit_positives) / 2 + one_direction(i, unit_positives, unit_queries) / 2
        for i in range(b)
    ]
    return sum(terms) / b


def batch(b, dim=6):
    print(f"seed {SEED}")
    generator = torch.Generator().manual_seed(SEED)
    return [
        torch.randn(b, dim, dtype=torch.float64, generator=generator).mul_(scale).requires_grad_() for scale in (1, 3)
    ]


GROUPS = {"no masking": None, "masking": [0, 1, 0, 2, 1, 0, 3], "all one group": [4] * 7}


@pytest.mark.parametrize("groups", GROUPS.values(), ids=GROUPS)
@pytest.mark.parametrize("temperature", [0.05, 0.5])
def test_value_and_gradients_equal_the_formula(groups, temperature):
    queries, positives = batch(7)
    loss = nt_xent(queries, positives, None if groups is None else torch.tensor(groups), temperature)
    expected = transcription(queries, positives, groups, temperature)
    assert loss.item() == pytest.approx(expected.item(), abs=1e-12)
    for found, wanted in zip(
        torch.autograd.grad(loss, (queries, positives)),
        torch.autograd.grad(expected, (queries, positives)),
        strict=True,
    ):
        torch.testing.assert_close(found, wanted, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("groups", GROUPS.values(), ids=GROUPS)
def test_gradients_pass_gradcheck(groups):
    queries, positives = batch(7)
    ids = None if groups is None else torch.tensor(groups)
    assert torch.autograd.gradcheck(lambda q, d: nt_xent(q, d, ids, 0.2), (queries, positives))


@pytest.mark.parametrize("groups", [None, torch.tensor([9])])
def test_a_batch_of_one_pair_has_loss_zero_and_no_gradient(groups):
    queries, positives = batch(1)
    loss = nt_xent(queries, positives, groups)
    assert loss.item() == pytest.approx(0, abs=1e-12)
    assert all((gradient.abs() < 1e-12).all() for gradient in torch.autograd.grad(loss, (queries, positives)))


def test_with_all_pairs_in_one_group_nothing_is_left_to_push_away():
    queries, positives = batch(4)
    assert nt_xent(queries, positives, torch.zeros(4)).item() == pytest.approx(0, abs=1e-12)


def test_zero_vectors_give_a_finite_loss_and_finite_gradients():
    queries, positives = (side.detach().float() for side in batch(5))
    queries[2] = 0
    positives[3] = 0
    queries.requires_grad_()
    positives.requires_grad_()
    loss = nt_xent(queries, positives, torch.arange(5))
    assert math.isfinite(loss.item())
    assert all(torch.isfinite(gradient).all() for gradient in torch.autograd.grad(loss, (queries, positives)))


def test_rows_shorter_than_eps_are_divided_by_eps():
    queries, positives = (side.detach() for side in batch(3))
    short = queries * 1e-6
    scaled = nt_xent(short, positives, eps=1e-3)
    units = positives / positives.norm(dim=1, keepdim=True)
    logits = (short / 1e-3) @ units.T / 0.1
    expected = -(logits.log_softmax(1).diagonal() + logits.T.log_softmax(1).diagonal()).mean() / 2
    assert scaled.item() == pytest.approx(expected.item(), rel=1e-9)
    assert scaled.item() != pytest.approx(nt_xent(short, positives, eps=1e-12).item(), rel=1e-3)


def test_the_softmax_runs_along_rows_in_both_directions():
    """An asymmetric case by hand: Q D' / t = [[2, 0], [2, 0]], whose rows and columns have different sums."""
    queries = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    positives = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    z = math.exp(2)
    rows = -math.log(z / (z + 1)) - math.log(1 / (z + 1))
    columns = -math.log(z / (z + z)) - math.log(1 / 2)
    assert nt_xent(queries, positives, temperature=0.5).item() == pytest.approx((rows + columns) / 4, rel=1e-6)


def test_the_length_of_vectors_does_not_matter_and_a_lower_temperature_sharpens():
    queries, positives = batch(6)
    assert nt_xent(queries * 7, positives / 3).item() == pytest.approx(nt_xent(queries, positives).item(), abs=1e-9)
    assert nt_xent(queries, queries, temperature=0.05).item() < nt_xent(queries, queries, temperature=1.0).item()
