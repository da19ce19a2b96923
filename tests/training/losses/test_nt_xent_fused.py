"""The fused NT-Xent against the readable reference, in value and in gradients."""

import math
import sys

import pytest
import torch

from askagain.benchmarks.subprocesses import run_process
from askagain.training.losses.nt_xent import SMALLEST_TEMPERATURE, NTXentLoss, ReferenceNTXentLoss
from askagain.training.losses.nt_xent_fused import fused_nt_xent
from askagain.training.losses.nt_xent_logits import Blocking

SEED = 5


def nt_xent(queries, positives, groups=None, temperature=0.1, eps=1e-8, **settings):
    return fused_nt_xent(queries, positives, temperature, eps, groups=groups, **settings)


def reference(queries, positives, groups=None, temperature=0.1, eps=1e-8, negatives=None, smoothing=0.0):
    loss = ReferenceNTXentLoss(temperature, eps=eps, label_smoothing=smoothing)
    return loss(queries, positives, negatives=negatives, groups=groups)


def batch(b, dim=6):
    print(f"seed {SEED}")
    generator = torch.Generator().manual_seed(SEED)
    return [
        torch.randn(b, dim, dtype=torch.float64, generator=generator).mul_(scale).requires_grad_() for scale in (1, 3)
    ]


def assert_same_gradients(loss, expected, inputs, **tolerances):
    gradients = torch.autograd.grad(loss, inputs)
    for gradient, wanted in zip(gradients, torch.autograd.grad(expected, inputs), strict=True):
        torch.testing.assert_close(gradient, wanted, **tolerances)


@pytest.fixture(params=[True, False], ids=["rows to mask are sought", "whole blocks are masked"])
def by_rows(request):
    """Both ways of masking: that of a CPU, and that of a GPU."""
    return request.param


GROUPS = {"no masking": None, "masking": [0, 1, 0, 2, 1, 0, 3], "all one group": [4] * 7}


@pytest.mark.parametrize("groups", GROUPS.values(), ids=GROUPS)
@pytest.mark.parametrize("temperature", [0.05, 0.5])
def test_value_and_gradients_equal_the_reference(groups, temperature, by_rows):
    queries, positives = batch(7)
    ids = None if groups is None else torch.tensor(groups)
    loss = nt_xent(queries, positives, ids, temperature, blocking=Blocking(mask_by_rows=by_rows))
    expected = reference(queries, positives, ids, temperature)
    assert loss.item() == pytest.approx(expected.item(), abs=1e-12)
    assert_same_gradients(loss, expected, (queries, positives), rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("groups", GROUPS.values(), ids=GROUPS)
def test_gradients_pass_gradcheck(groups):
    queries, positives = batch(7)
    ids = None if groups is None else torch.tensor(groups)
    assert torch.autograd.gradcheck(lambda q, d: nt_xent(q, d, ids, 0.2), (queries, positives))


@pytest.mark.parametrize("kept", [0, 2**30], ids=["computed twice", "kept"])
@pytest.mark.parametrize("groups", [None, [0, 1, 0, 2, 1, 0, 3, 0, 5, 3]], ids=["no masking", "masking"])
@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_negatives_and_the_temperature_get_the_gradients_of_the_reference(groups, kept, smoothing, by_rows):
    queries, positives = batch(7)
    negatives = batch(3)[1].detach().neg().requires_grad_()
    ids = None if groups is None else torch.tensor(groups)
    blocking = Blocking(block_logits=3 * 7, kept_logits=kept, mask_by_rows=by_rows)
    temperature = torch.tensor([0.3], dtype=torch.float64, requires_grad=True)
    settings = {"negatives": negatives, "label_smoothing": smoothing, "blocking": blocking}
    loss = nt_xent(queries, positives, ids, temperature, **settings)
    plain = ReferenceNTXentLoss(0.3, label_smoothing=smoothing)
    plain._temperature = temperature
    expected = plain(queries, positives, negatives=negatives, groups=ids)
    assert loss.item() == pytest.approx(expected.item(), abs=1e-12)
    assert_same_gradients(loss, expected, (queries, positives, negatives, temperature), rtol=1e-9, atol=1e-11)


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
    assert_same_gradients(loss, expected, (queries, positives), rtol=1e-9, atol=1e-11)


def test_the_length_of_vectors_does_not_matter_and_a_lower_temperature_sharpens():
    queries, positives = batch(6)
    assert nt_xent(queries * 7, positives / 3).item() == pytest.approx(nt_xent(queries, positives).item(), abs=1e-9)
    assert nt_xent(queries, queries, temperature=0.05).item() < nt_xent(queries, queries, temperature=1.0).item()


@pytest.mark.parametrize("kept", [0, 2**30], ids=["computed twice", "kept"])
@pytest.mark.parametrize("groups", [None, [i // 3 for i in range(50)]], ids=["no masking", "masking"])
@pytest.mark.parametrize("cached", [3 * 50, 2**20], ids=["pieces", "whole blocks"])
def test_blocks_change_nothing(kept, cached, groups, by_rows):
    queries, positives = batch(50)
    ids = None if groups is None else torch.tensor(groups)
    whole = nt_xent(queries, positives, ids)
    blocking = Blocking(block_logits=7 * 50, cached_logits=cached, kept_logits=kept, mask_by_rows=by_rows)
    in_blocks = nt_xent(queries, positives, ids, blocking=blocking)
    assert in_blocks.item() == pytest.approx(whole.item(), rel=1e-12)
    assert_same_gradients(in_blocks, whole, (queries, positives), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("temperature", [SMALLEST_TEMPERATURE, 0.01, 0.024, 0.026])
def test_low_temperatures_neither_overflow_nor_lose_what_is_small(temperature):
    queries, positives = (side.detach().float().requires_grad_() for side in batch(12))
    with torch.no_grad():
        positives[3] = -queries[3]  # a pair as far apart as can be
    loss = nt_xent(queries, positives, temperature=temperature)
    doubles = [side.detach().double().requires_grad_() for side in (queries, positives)]
    expected = reference(*doubles, temperature=temperature)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    gradients = torch.autograd.grad(loss, (queries, positives))
    for gradient, wanted in zip(gradients, torch.autograd.grad(expected, doubles), strict=True):
        torch.testing.assert_close(gradient.double(), wanted, rtol=1e-3, atol=1e-4 * wanted.abs().max().item())


@pytest.mark.parametrize("temperature", [0.01, SMALLEST_TEMPERATURE])
def test_under_autocast_large_logits_are_not_rounded(temperature):
    queries, positives = (side.detach().float() for side in batch(50, dim=32))
    with torch.autocast("cpu", torch.bfloat16):
        loss = nt_xent(queries, positives, temperature=temperature)
    assert loss.item() == pytest.approx(nt_xent(queries, positives, temperature=temperature).item(), rel=1e-5)


def test_under_autocast_products_are_in_its_type_and_sums_in_float32():
    queries, positives = (side.detach().float().requires_grad_() for side in batch(200, dim=32))
    exact = nt_xent(queries, positives)
    gradients = torch.autograd.grad(exact, (queries, positives))
    with torch.autocast("cpu", torch.bfloat16):
        rounded = nt_xent(queries, positives)
    assert rounded.dtype == torch.float32
    assert rounded.item() != exact.item()
    assert rounded.item() == pytest.approx(exact.item(), rel=2e-3)
    for gradient, wanted in zip(torch.autograd.grad(rounded, (queries, positives)), gradients, strict=True):
        assert torch.nn.functional.cosine_similarity(gradient.flatten(), wanted.flatten(), dim=0) > 0.999


def test_what_the_loss_is_multiplied_by_reaches_the_gradients():
    queries, positives = batch(6)
    once = torch.autograd.grad(nt_xent(queries, positives), queries)[0]
    scaled = torch.autograd.grad(nt_xent(queries, positives) * 2.5, queries)[0]
    torch.testing.assert_close(scaled, once * 2.5)


@pytest.mark.parametrize("learned", [False, True])
def test_the_loss_module_computes_what_its_reference_does(learned):
    queries, positives = batch(9)
    negatives, groups = batch(2)[0], torch.tensor([0, 1, 0, 2, 1, 0, 3, 4, 5, 3, 6])
    settings = {"temperature": 0.2, "learn_temperature": learned, "label_smoothing": 0.1, "eps": 1e-6}
    losses = [kind(**settings) for kind in (NTXentLoss, ReferenceNTXentLoss)]
    values = [loss(queries, positives, negatives=negatives, groups=groups) for loss in losses]
    torch.testing.assert_close(values[0], values[1])
    if learned:
        gradients = [torch.autograd.grad(v, loss.log_temperature)[0] for v, loss in zip(values, losses, strict=True)]
        torch.testing.assert_close(*gradients)


@pytest.mark.slow
def test_a_batch_of_16384_pairs_takes_less_than_its_logits_would():
    """All logits at once would take a gibibyte, and their gradient another."""
    code = """
import torch
from askagain.training.losses.nt_xent import NTXentLoss
vectors = torch.randn(32768, 64, requires_grad=True)
NTXentLoss()(*vectors.split(16384), groups=torch.arange(16384) // 2).backward()
assert torch.isfinite(vectors.grad).all()
"""
    assert run_process([sys.executable, "-c", code]).peak_bytes < 2**30
