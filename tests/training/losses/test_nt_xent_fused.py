"""NT-Xent against a plain transcription of its formula, in value and in gradients."""

import math
import subprocess
import sys

import pytest
import torch

from askagain.training.losses import nt_xent_fused as module

SEED = 5


def nt_xent(queries, positives, groups=None, temperature=0.1, eps=1e-8):
    return module.nt_xent(torch.cat([queries, positives]), groups, temperature, eps)


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


@pytest.fixture(params=["rows are sought", "nothing waits for a device"])
def masking(request, monkeypatch):
    """Both ways of masking: that of a CPU, and that of a GPU."""
    monkeypatch.setattr(module, "_waits", lambda tensor: request.param != "rows are sought")


def with_negatives(queries, positives, negatives, groups, temperature, smoothing=0.0):
    """`transcription` with further negatives in the softmax rows of both sides, and smoothed labels."""
    units = [torch.nn.functional.normalize(side, dim=1) for side in (queries, positives, negatives)]
    count = len(queries)
    terms = []
    for anchors, others in ((units[0], units[1]), (units[1], units[0])):
        logits = anchors @ torch.cat([others, units[2]]).T / temperature
        if groups is not None:
            same = groups[:count, None] == groups
            same[:, :count].fill_diagonal_(False)
            logits = logits.masked_fill(same, -math.inf)
        for i, row in enumerate(logits):
            logs = row.log_softmax(0)
            terms.append(-(1 - smoothing) * logs[i] - smoothing * logs[row > -math.inf].mean())
    return sum(terms) / len(terms)


GROUPS = {"no masking": None, "masking": [0, 1, 0, 2, 1, 0, 3], "all one group": [4] * 7}


@pytest.mark.parametrize("groups", GROUPS.values(), ids=GROUPS)
@pytest.mark.parametrize("temperature", [0.05, 0.5])
def test_value_and_gradients_equal_the_formula(groups, temperature, masking):
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


@pytest.mark.parametrize("kept", [0, 2**30], ids=["computed twice", "kept"])
@pytest.mark.parametrize("groups", [None, [0, 1, 0, 2, 1, 0, 3, 0, 5, 3]], ids=["no masking", "masking"])
@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_further_negatives_and_the_temperature_get_the_gradients_of_the_formula(
    groups, kept, smoothing, masking, monkeypatch
):
    monkeypatch.setattr(module, "BLOCK_LOGITS", 3 * 7)
    monkeypatch.setattr(module, "KEPT_LOGITS", kept)
    queries, positives = batch(7)
    negatives = batch(3)[1].detach().neg().requires_grad_()
    temperature = torch.tensor([0.3], dtype=torch.float64, requires_grad=True)
    ids = None if groups is None else torch.tensor(groups)
    vectors = torch.cat([queries, positives, negatives])
    loss = module.nt_xent(vectors, ids, temperature, 1e-8, pairs=7, label_smoothing=smoothing)
    expected = with_negatives(queries, positives, negatives, ids, temperature, smoothing)
    assert loss.item() == pytest.approx(expected.item(), abs=1e-12)
    inputs = (queries, positives, negatives, temperature)
    for found, wanted in zip(torch.autograd.grad(loss, inputs), torch.autograd.grad(expected, inputs), strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-9, atol=1e-11)


def test_smoothed_labels_are_those_of_cross_entropy():
    queries, positives = batch(7)
    loss = module.nt_xent(torch.cat([queries, positives]), None, 0.2, 1e-8, label_smoothing=0.1)
    units = [torch.nn.functional.normalize(side, dim=1) for side in (queries, positives)]
    logits = units[0] @ units[1].T / 0.2
    own = torch.arange(7)
    expected = sum(torch.nn.functional.cross_entropy(some, own, label_smoothing=0.1) for some in (logits, logits.T)) / 2
    assert loss.item() == pytest.approx(expected.item(), rel=1e-12)


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
    queries, positives = batch(7)
    eps = 2.0
    assert 0 < (queries.norm(dim=1) < eps).sum() < 7
    first, second = (side / side.norm(dim=1, keepdim=True).clamp(min=eps) for side in (queries, positives))
    logits = first @ second.T / 0.1
    expected = -(logits.log_softmax(1).diagonal() + logits.T.log_softmax(1).diagonal()).mean() / 2
    loss = nt_xent(queries, positives, eps=eps)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-9)
    assert loss.item() != pytest.approx(nt_xent(queries, positives, eps=1e-12).item(), rel=1e-3)
    sides = (queries, positives)
    for found, wanted in zip(torch.autograd.grad(loss, sides), torch.autograd.grad(expected, sides), strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-9, atol=1e-11)


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


@pytest.mark.parametrize("kept", [0, 2**30], ids=["computed twice", "kept"])
@pytest.mark.parametrize("groups", [None, [i // 3 for i in range(50)]], ids=["no masking", "masking"])
def test_blocks_change_nothing(monkeypatch, kept, groups, masking):
    queries, positives = batch(50)
    ids = None if groups is None else torch.tensor(groups)
    whole = nt_xent(queries, positives, ids)
    gradients = torch.autograd.grad(whole, (queries, positives))
    monkeypatch.setattr(module, "BLOCK_LOGITS", 7 * 50)
    monkeypatch.setattr(module, "KEPT_LOGITS", kept)
    in_blocks = nt_xent(queries, positives, ids)
    assert in_blocks.item() == pytest.approx(whole.item(), rel=1e-12)
    for found, wanted in zip(torch.autograd.grad(in_blocks, (queries, positives)), gradients, strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("temperature", [module.SMALLEST_TEMPERATURE, 0.01, 0.024, 0.026])
def test_low_temperatures_neither_overflow_nor_lose_what_is_small(temperature):
    queries, positives = (side.detach().float().requires_grad_() for side in batch(12))
    with torch.no_grad():
        positives[3] = -queries[3]  # a pair as far apart as can be
    loss = nt_xent(queries, positives, temperature=temperature)
    doubles = [side.detach().double().requires_grad_() for side in (queries, positives)]
    units = [side / side.norm(dim=1, keepdim=True) for side in doubles]
    logits = units[0] @ units[1].T / temperature
    expected = -(logits.log_softmax(1).diagonal() + logits.T.log_softmax(1).diagonal()).mean() / 2
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    for found, wanted in zip(
        torch.autograd.grad(loss, (queries, positives)), torch.autograd.grad(expected, doubles), strict=True
    ):
        torch.testing.assert_close(found.double(), wanted, rtol=1e-3, atol=1e-4 * wanted.abs().max().item())


@pytest.mark.parametrize("temperature", [0.01, module.SMALLEST_TEMPERATURE])
def test_under_autocast_large_logits_are_not_rounded(temperature):
    queries, positives = (side.detach().float() for side in batch(50, dim=32))
    with torch.autocast("cpu", torch.bfloat16):
        found = nt_xent(queries, positives, temperature=temperature)
    assert found.item() == pytest.approx(nt_xent(queries, positives, temperature=temperature).item(), rel=1e-5)


def test_under_autocast_products_are_in_its_type_and_sums_in_float32():
    queries, positives = (side.detach().float().requires_grad_() for side in batch(200, dim=32))
    exact = nt_xent(queries, positives)
    gradients = torch.autograd.grad(exact, (queries, positives))
    with torch.autocast("cpu", torch.bfloat16):
        rounded = nt_xent(queries, positives)
    assert rounded.dtype == torch.float32
    assert rounded.item() != exact.item()
    assert rounded.item() == pytest.approx(exact.item(), rel=2e-3)
    for found, wanted in zip(torch.autograd.grad(rounded, (queries, positives)), gradients, strict=True):
        assert torch.nn.functional.cosine_similarity(found.flatten(), wanted.flatten(), dim=0) > 0.999


def test_what_the_loss_is_multiplied_by_reaches_the_gradients():
    queries, positives = batch(6)
    once = torch.autograd.grad(nt_xent(queries, positives), queries)[0]
    scaled = torch.autograd.grad(nt_xent(queries, positives) * 2.5, queries)[0]
    torch.testing.assert_close(scaled, once * 2.5)


@pytest.mark.slow
def test_a_batch_of_32768_pairs_takes_less_than_a_gibibyte():
    """All logits at once would take four; this takes 0.4, and vectors of 300 numbers 0.6."""
    code = """
import resource, torch
from askagain.training.losses.nt_xent_fused import nt_xent
vectors = torch.randn(65536, 64, requires_grad=True)
nt_xent(vectors, torch.arange(32768) // 2, 0.1, 1e-8).backward()
assert torch.isfinite(vectors.grad).all()
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 2**30
