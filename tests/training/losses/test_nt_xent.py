"""The readable NT-Xent against its formula, one term at a time, and what the loss object promises."""

import math

import pytest
import torch
from torch.nn.functional import cross_entropy, normalize

from askagain.errors import InputError
from askagain.training.losses.nt_xent import NTXentLoss, ReferenceNTXentLoss

BOTH = pytest.mark.parametrize("kind", [NTXentLoss, ReferenceNTXentLoss])


def batch(pairs, negatives=0):
    generator = torch.Generator().manual_seed(5)
    sizes = (pairs, pairs, negatives)
    return [torch.randn(size, 6, dtype=torch.float64, generator=generator, requires_grad=True) for size in sizes]


def formula(queries, positives, negatives, groups, temperature):
    """L = mean_i of -1/2 log softmax_row([Q D', Q N']/t)_ii - 1/2 log softmax_row([D Q', D N']/t)_ii, term by term."""
    b = len(queries)
    units = [[vector / vector.norm() for vector in side] for side in (queries, positives, negatives)]

    def one_direction(i, anchors, others):
        candidates = [*others, *units[2]]
        kept = [j for j in range(len(candidates)) if j == i or groups is None or groups[j] != groups[i]]
        exponentials = [((anchors[i] * candidates[j]).sum() / temperature).exp() for j in kept]
        return -((anchors[i] * others[i]).sum() / temperature).exp().div(sum(exponentials)).log()

    terms = [one_direction(i, units[0], units[1]) / 2 + one_direction(i, units[1], units[0]) / 2 for i in range(b)]
    return sum(terms) / b


@BOTH
@pytest.mark.parametrize("groups", [None, [0, 1, 0, 2, 1, 0, 3, 0, 7]], ids=["no groups", "groups"])
@pytest.mark.parametrize("count", [0, 2])
def test_value_and_gradients_are_those_of_the_formula(kind, groups, count):
    sides = batch(7, count)
    groups = None if groups is None else torch.tensor(groups[: 7 + count])
    loss = kind(temperature=0.2)(sides[0], sides[1], negatives=sides[2], groups=groups)
    expected = formula(*sides, groups, 0.2)
    assert loss.item() == pytest.approx(expected.item(), abs=1e-12)
    inputs = sides if count else sides[:2]
    gradients = torch.autograd.grad(loss, inputs)
    for gradient, wanted in zip(gradients, torch.autograd.grad(expected, inputs), strict=True):
        torch.testing.assert_close(gradient, wanted, rtol=1e-9, atol=1e-11)


@BOTH
def test_the_softmax_runs_along_rows_in_both_directions(kind):
    """An asymmetric case by hand: Q D' / t = [[2, 0], [2, 0]], whose rows and columns have different sums."""
    queries = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    positives = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    z = math.exp(2)
    rows = -math.log(z / (z + 1)) - math.log(1 / (z + 1))
    columns = -math.log(z / (z + z)) - math.log(1 / 2)
    assert kind(temperature=0.5)(queries, positives).item() == pytest.approx((rows + columns) / 4, rel=1e-6)


@BOTH
def test_smoothed_labels_are_those_of_cross_entropy(kind):
    queries, positives, _ = batch(7)
    loss = kind(temperature=0.2, label_smoothing=0.1)(queries, positives)
    logits = normalize(queries) @ normalize(positives).T / 0.2
    own = torch.arange(7)
    expected = sum(cross_entropy(direction, own, label_smoothing=0.1) for direction in (logits, logits.T)) / 2
    assert loss.item() == pytest.approx(expected.item(), rel=1e-12)


@BOTH
def test_without_masking_groups_change_nothing(kind):
    queries, positives, _ = batch(6)
    groups = torch.tensor([0, 0, 0, 1, 1, 2])
    plain = kind()(queries, positives).item()
    assert kind(mask_same_group=False)(queries, positives, groups=groups).item() == plain
    assert kind()(queries, positives, groups=groups).item() < plain


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"temperature": 0.0}, r"^temperature=0\.0: must be at least 0\.0015$"),
        ({"temperature": -1.0}, r"^temperature=-1\.0: must be"),
        ({"temperature": 0.02, "learn_temperature": True}, r"must be at least 0\.025 with learn_temperature"),
    ],
)
def test_a_temperature_at_which_nothing_can_be_computed_is_refused(settings, message):
    with pytest.raises(InputError, match=message):
        NTXentLoss(**settings)


def test_a_learned_temperature_is_clamped_at_its_bound_and_trained_there_all_the_same():
    loss = NTXentLoss(temperature=0.025, learn_temperature=True)
    with torch.no_grad():
        loss.log_temperature.fill_(-9.0)
    loss.clamp_temperature()
    assert loss.temperature.item() == pytest.approx(0.025)
    queries, positives, _ = batch(5)
    loss(queries, positives).backward()
    assert loss.log_temperature.grad.item() != 0
    NTXentLoss().clamp_temperature()  # nothing to clamp


@BOTH
@pytest.mark.parametrize("learned", [False, True])
@pytest.mark.parametrize(("pairs", "groups"), [(1, None), (1, [3]), (4, [3, 3, 3, 3])])
def test_a_batch_without_negatives_has_a_loss_and_a_gradient_of_exactly_zero_and_is_counted(
    kind, pairs, groups, learned
):
    loss_of = kind(temperature=0.07, learn_temperature=learned)
    queries, positives, _ = (side.detach().float().requires_grad_() for side in batch(pairs))
    loss = loss_of(queries, positives, groups=None if groups is None else torch.tensor(groups))
    loss.backward()
    assert math.copysign(1, loss.item()) == 1 and loss.item() == 0
    assert queries.grad.eq(0).all() and positives.grad.eq(0).all()
    if learned:
        assert loss_of.log_temperature.grad == 0
    assert loss_of.batches == 1 and int(loss_of.without_negatives) == 1


@BOTH
def test_a_hard_negative_of_another_group_is_a_negative(kind):
    loss_of = kind(temperature=0.07)
    queries, positives, negatives = batch(2, 1)
    loss = loss_of(queries, positives, negatives=negatives, groups=torch.tensor([3, 3, 4]))
    loss.backward()
    assert loss.item() > 0 and queries.grad.abs().sum() > 0 and int(loss_of.without_negatives) == 0
