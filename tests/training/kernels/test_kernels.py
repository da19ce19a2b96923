"""Fused kernels beside the readable lines that they stand for: of the processor, and of a GPU where there is one."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from askagain.native import library
from askagain.text.bags import Bags, offsets_of
from askagain.training.data.resident import ResidentBags
from askagain.training.kernels import choice
from askagain.training.losses import nt_xent_fused
from askagain.training.losses.nt_xent import NTXentLoss, ReferenceNTXentLoss
from askagain.training.losses.nt_xent_fused import fused_nt_xent
from askagain.training.losses.nt_xent_logits import Blocking
from askagain.training.optim.embedding_bag import TensorBags, embedding_bag_sum, split_rows
from askagain.training.optim.rowwise_adagrad import RowwiseAdagrad

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.cuda)]
TYPES = [torch.float32, torch.bfloat16]
PAIRS = 150  # more than a thread or a program takes at a time
HARD = 9


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("kernels")


@pytest.fixture(params=DEVICES)
def device(request, folder) -> Iterator[torch.device]:
    """A device that has fused kernels."""
    library.use("auto", folder)
    device = torch.device(request.param)
    if choice.fused(device) is None:
        pytest.skip("this machine has no compiler for them")
    yield device
    library.use()


def random_bags(texts: int) -> Bags:
    """Bags of up to eight rows, in which rows are rare, frequent and repeated, and some are empty."""
    rng = np.random.default_rng(texts)
    return Bags.from_lists([(rng.zipf(1.3, size) % 2_000_000).tolist() for size in rng.integers(0, 9, texts)])


def made_logits(device: torch.device, kind: torch.dtype = torch.float32) -> tuple[torch.Tensor, ...]:
    """Logits, [PAIRS, PAIRS], a diagonal, and groups of which some have several pairs."""
    torch.manual_seed(0)
    logits, diagonal = torch.randn(PAIRS, PAIRS) * 5, torch.randn(PAIRS) + 10
    return logits.to(device, kind), diagonal.to(device), torch.randint(0, 80, (PAIRS,), device=device)


def exponentials(logits, diagonal, groups, rows: slice) -> torch.Tensor:
    logits = logits.double()
    if groups is not None:
        logits[groups[:, None] == groups] = -torch.inf
    logits.diagonal().copy_(diagonal)
    return logits[rows].exp2()


@pytest.mark.parametrize("rows", [slice(0, PAIRS), slice(20, 97)])
@pytest.mark.parametrize("grouped", [True, False])
@pytest.mark.parametrize("smoothed", [True, False])
@pytest.mark.parametrize("kind", TYPES)
def test_sums_of_exponentials_and_weights(device, kind, smoothed, grouped, rows):
    logits, diagonal, groups = made_logits(device, kind)
    groups = groups if grouped else None
    expected = exponentials(logits, diagonal, groups, rows)
    block = logits[rows].contiguous()
    kernels = choice.fused(device)
    kept = expected.log2().nan_to_num(neginf=0)
    for with_logits in (False, True):
        sums = kernels.sum_exponentials(block, diagonal, groups, rows.start, with_logits)
        again = kernels.sum_exponentials(block, diagonal, groups, rows.start, with_logits)
        assert all(torch.equal(*sides) for sides in zip(sums, again, strict=True))
        assert len(sums[0]) == 1 + with_logits
        for dim, own in ((1, sums[0]), (0, sums[1])):
            torch.testing.assert_close(own[0].double(), expected.sum(dim=dim), rtol=2e-6, atol=0)
            if with_logits:
                torch.testing.assert_close(own[1].double(), kept.sum(dim=dim), rtol=1e-5, atol=1e-3)
    factors = torch.rand(2, PAIRS, device=device) / 1000
    weights = expected * (factors[0, rows, None].double() + factors[1].double())
    weights.diagonal(rows.start).sub_(0.25)
    targets = torch.rand(2, PAIRS, device=device) / 1000 if smoothed else None
    if targets is not None:
        weights -= (expected > 0) * (targets[0, rows, None].double() + targets[1].double())
    kernels.put_weights(block, diagonal, groups, rows.start, factors, 0.25, targets)
    tolerance = {"rtol": 4e-3, "atol": 1e-6} if kind == torch.bfloat16 else {"rtol": 2e-6, "atol": 1e-7}
    torch.testing.assert_close(block.double(), weights, **tolerance)


@pytest.mark.parametrize("count", [1, 2, 300])
def test_the_sizes_of_groups(device, count):
    groups = torch.randint(-40, 2**40, (40,), generator=torch.manual_seed(count))[torch.arange(count) ** 2 % 40]
    expected = [groups.tolist().count(group) for group in groups.tolist()]
    assert choice.fused(device).group_sizes(groups.to(device)).tolist() == expected
    assert choice.fused(device).group_sizes((groups % 100).int().to(device)).shape == (count,)


def test_the_processors_sums_do_not_depend_on_its_threads(folder):
    library.use("auto", folder)
    kernels, threads = choice.native_kernels(), torch.get_num_threads()
    if kernels is None:
        pytest.skip("this machine has no compiler for them")
    logits, diagonal, groups = made_logits(torch.device("cpu"))
    sums = []
    try:
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            sums.append(kernels.sum_exponentials(logits, diagonal, groups, 0, True))
    finally:
        torch.set_num_threads(threads)
    assert all(torch.equal(*sides) for other in sums[1:] for sides in zip(sums[0], other, strict=True))


@pytest.mark.parametrize("kind", TYPES)
def test_unit_rows_and_the_gradient_of_what_they_were_made_of(device, kind):
    torch.manual_seed(1)
    eps, divisor, dim = 0.5, 0.07, 19
    sides = torch.randn(2, PAIRS, dim, device=device)
    sides[:, 3] *= 1e-3  # shorter than eps
    kernels = choice.fused(device)
    units, lengths, scaled, others, diagonal = kernels.unit_pairs(*sides, eps, divisor, kind, 16)
    rows = sides.flatten(0, 1)
    expected = rows / rows.norm(dim=1, keepdim=True).clamp(min=eps)
    assert units.shape == (2 * PAIRS, 32) and not units[:, dim:].any()
    torch.testing.assert_close(units[:, :dim], expected)
    torch.testing.assert_close(lengths, rows.norm(dim=1).clamp(min=eps))
    torch.testing.assert_close(scaled, (units[:PAIRS] / divisor).to(kind))
    torch.testing.assert_close(others, units[PAIRS:].to(kind))
    torch.testing.assert_close(diagonal, (expected[:PAIRS] * expected[PAIRS:]).sum(dim=1) / divisor)
    gradient = torch.randn_like(units).to(kind)
    gradients = kernels.row_gradients(gradient, units, lengths, dim, eps, 0.1, 1.5)
    along = (gradient.float() * units).sum(dim=1, keepdim=True) * (lengths > eps)[:, None]
    divisors = lengths * torch.tensor([0.1, 1.5], device=device).repeat_interleave(PAIRS)
    torch.testing.assert_close(gradients, ((gradient.float() - along * units) / divisors[:, None])[:, :dim])


@pytest.mark.parametrize("count", [1, 5, 300])
def test_the_rows_that_the_processor_takes(count, folder):
    library.use("auto", folder)
    kernels, table = choice.native_kernels(), torch.randn(40, 19)
    if kernels is None:
        pytest.skip("this machine has no compiler for them")
    rows = torch.randint(0, 40, (count,), generator=torch.manual_seed(count))
    assert torch.equal(kernels.take_rows(table, rows), table.index_select(0, rows))
    assert kernels.take_rows(table, rows[:0]).shape == (0, 19)
    for missing in (-1, 40):
        with pytest.raises(IndexError):
            kernels.take_rows(table, torch.cat([rows, torch.tensor([missing])]))


@pytest.mark.parametrize(("texts", "dim"), [(1, 1), (300, 41), (64, 128)])
def test_the_processors_squared_error_of_sums_and_its_gradient(texts, dim, folder):
    library.use("auto", folder)
    kernels, threads = choice.native_kernels(), torch.get_num_threads()
    if kernels is None:
        pytest.skip("this machine has no compiler for them")
    rng = np.random.default_rng(texts)
    bags = TensorBags.of(Bags.from_lists([rng.integers(0, 50, size).tolist() for size in rng.integers(0, 9, texts)]))
    table, targets = (torch.randn(rows, dim, generator=torch.manual_seed(rows)) for rows in (50, texts))
    sums = embedding_bag_sum(table, bags, sparse=True)
    found = []
    try:
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            loss, gradient = kernels.bag_errors(table, bags.ids, bags.offsets, targets)
            found.append(loss)
            torch.testing.assert_close(gradient, 2 * (sums - targets) / targets.numel())
    finally:
        torch.set_num_threads(threads)
    assert found[0] == found[1] == found[2]
    expected = torch.nn.functional.mse_loss(sums.double(), targets.double())
    torch.testing.assert_close(found[0].double(), expected, rtol=1e-6, atol=0)
    for missing in (-1, 50):
        ids, offsets = torch.tensor([missing], dtype=torch.int32), torch.tensor([0] * texts + [1], dtype=torch.int32)
        with pytest.raises(IndexError):
            kernels.bag_errors(table, ids, offsets, targets)


@pytest.mark.parametrize("texts", [1, 40, 3000])
def test_the_bags_that_the_processor_cuts(texts, folder):
    library.use("auto", folder)
    kernels, bags = choice.native_kernels(), random_bags(texts)
    if kernels is None:
        pytest.skip("this machine has no compiler for them")
    chosen = np.random.default_rng(0).integers(0, texts, 77)
    cut = TensorBags.taken(bags, chosen)
    expected = TensorBags.of(bags.take(chosen))
    for name in TensorBags._fields:
        own, other = getattr(cut, name), getattr(expected, name)
        assert own.dtype == other.dtype and torch.equal(own, other), name
    assert len(TensorBags.taken(bags, chosen[:0]).ids) == 0
    for missing in (-1, texts):
        with pytest.raises(IndexError):
            TensorBags.taken(bags, np.array([missing]))
    with pytest.raises(IndexError):
        TensorBags.taken(Bags(bags.ids, bags.offsets + 10**9), chosen)


@pytest.mark.parametrize("largest", [3, 2**11, 2**22, 2**31 - 1])
def test_the_bags_that_several_threads_cut(largest, folder):
    library.use("auto", folder)
    if choice.native_kernels() is None:
        pytest.skip("this machine has no compiler for them")
    rng, threads = np.random.default_rng(largest), torch.get_num_threads()
    lengths = rng.integers(0, 12, 3000)
    ids = rng.integers(0, largest, lengths.sum(), dtype=np.int32, endpoint=True)
    ids[rng.random(len(ids)) < 0.4] = 2  # so that the users of one row are those of several threads
    bags, chosen = Bags(ids, offsets_of(lengths)), rng.integers(0, 3000, 4000)
    expected = TensorBags.of(bags.take(chosen))
    try:
        for count in (1, 2, 3, 20):
            torch.set_num_threads(count)
            assert all(torch.equal(*parts) for parts in zip(TensorBags.taken(bags, chosen), expected, strict=True))
    finally:
        torch.set_num_threads(threads)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_logit_that_is_no_number_makes_sums_that_are_none(bad, device):
    logits, diagonal, _ = made_logits(device)
    logits[3, 5] = bad
    for with_logits in (False, True):
        rows, columns = choice.fused(device).sum_exponentials(logits, diagonal, None, 0, with_logits)
        assert not rows[0, 3].isfinite() and not columns[0, 5].isfinite()


@pytest.mark.cuda
@pytest.mark.parametrize("further", [0, 1, 5000])
@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize("texts", [1, 40, 3000])
def test_bag_sums_on_a_gpu(texts, weighted, further):
    torch.manual_seed(texts)
    bags = random_bags(texts)
    tensors = ResidentBags(bags, torch.device("cuda")).take(torch.arange(texts).cuda(), len(bags.ids) + further)
    table, weights = torch.randn(2_000_000, 19), torch.rand(2_000_000) if weighted else None
    on_gpu = (table.cuda(), tensors.ids, tensors.offsets, None if weights is None else weights.cuda())
    sums = choice.gpu_kernels().bag_sums(*on_gpu)
    ids = torch.from_numpy(bags.ids).long()
    rows = table[ids].double() if weights is None else table[ids].double() * weights[ids, None]
    bag_of = torch.repeat_interleave(torch.arange(texts), torch.from_numpy(bags.lengths))
    expected = torch.zeros(texts, 19, dtype=torch.float64).index_add_(0, bag_of, rows)
    torch.testing.assert_close(sums.cpu().double(), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.cuda
@pytest.mark.parametrize("further", [0, 1, 5000])
@pytest.mark.parametrize("resident", [True, False])
@pytest.mark.parametrize("texts", [1, 40, 3000])
def test_row_sums_on_a_gpu(texts, resident, further):
    torch.manual_seed(texts)
    bags = random_bags(texts)
    if resident:
        numbers = torch.arange(texts, device="cuda")
        tensors = ResidentBags(bags, torch.device("cuda")).take(numbers, len(bags.ids) + further)
    else:
        tensors = TensorBags(*(tensor.cuda() for tensor in TensorBags.of(bags)))
    gradients = torch.randn(texts, 19)
    inputs = (gradients.cuda(), tensors.users, tensors.user_offsets)
    sums = choice.gpu_kernels().row_sums(*inputs)
    assert torch.equal(sums, choice.gpu_kernels().row_sums(*inputs))
    rows = torch.repeat_interleave(torch.arange(len(sums)), tensors.user_offsets.cpu().diff())
    expected = torch.zeros(len(sums), 19, dtype=torch.float64)
    expected.index_add_(0, rows, gradients.double()[tensors.users.cpu()[: len(rows)]])
    torch.testing.assert_close(sums.cpu().double(), expected, rtol=1e-4, atol=1e-4)


def test_an_update_is_that_of_the_optimizers_own_lines(device):
    torch.manual_seed(2)
    bags = TensorBags.of(random_bags(200))
    rows = torch.cat([bags.rows[:1], bags.rows]).to(device)  # the first one twice
    gradients = torch.randn(len(rows), 19, device=device)
    gradients[1] = 0
    table = torch.randn(2_000_000, 19, device=device)
    results = []
    for is_dense in (True, False):  # a kernel steps over the rows of a sparse gradient
        parameter = torch.nn.Parameter(table.clone())
        optimizer = RowwiseAdagrad([parameter], lr=0.1, eps=1e-10, second_moment="row")
        if is_dense:
            parameter.grad = torch.zeros_like(table).index_add_(0, rows, gradients)
            optimizer.step()
        else:
            parameter.grad = torch.sparse_coo_tensor(
                rows[None], gradients.clone(), table.shape, is_coalesced=True, check_invariants=False
            )
            optimizer.step()
        results.append((parameter.detach(), optimizer.state[parameter]["second_moment"]))
    for own, other in zip(*results, strict=True):
        torch.testing.assert_close(own, other)
    assert not torch.equal(results[0][0], table)


@pytest.mark.parametrize("blocking", [None, Blocking(block_logits=20 * PAIRS, kept_logits=0)])
@pytest.mark.parametrize("hard", [0, HARD])
@pytest.mark.parametrize("learned", [False, True])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("rounds", [False, True])
def test_nt_xent_with_fused_kernels_is_nt_xent(device, rounds, smoothing, learned, hard, blocking, folder):
    torch.manual_seed(3)
    sides = torch.randn(2, PAIRS, 19).to(device)
    others = torch.randn(hard, 19).to(device) if hard else None
    groups = torch.randint(0, 90, (PAIRS + hard,)).to(device)
    results = []
    for kernels in ("plain", "auto"):
        library.use(kernels, folder)
        assert (choice.fused(device) is None) == (kernels == "plain")
        leaves = [side.clone().requires_grad_() for side in sides]
        temperature = torch.tensor(0.1, device=device, requires_grad=True) if learned else 0.1
        with torch.autocast(device.type, torch.bfloat16, enabled=rounds):
            settings = {"negatives": others, "groups": groups, "label_smoothing": smoothing, "blocking": blocking}
            loss = fused_nt_xent(*leaves, temperature, 1e-8, **settings)
        (3 * loss).backward()
        results.append([loss.detach(), *(leaf.grad for leaf in leaves), *([temperature.grad] if learned else [])])
    tolerance = {"rtol": 0.02, "atol": 1e-4} if rounds else {"rtol": 1e-5, "atol": 1e-7}
    for own, other in zip(*results, strict=True):
        torch.testing.assert_close(own, other, **tolerance)


def test_every_second_group_of_a_wider_tensor_masks_as_its_copy_does(device):
    torch.manual_seed(5)
    sides, wide = torch.randn(2, PAIRS, 19, device=device), torch.randint(0, 90, (PAIRS, 2), device=device)
    losses = [NTXentLoss()(*sides, groups=groups) for groups in (wide[:, 0], wide[:, 0].clone())]
    assert torch.equal(*losses)


def test_batch_after_batch_with_fused_kernels(device):
    loss, reference = NTXentLoss(), ReferenceNTXentLoss()
    kept = []
    for number, pairs in enumerate([PAIRS, PAIRS, PAIRS, 40, PAIRS, PAIRS]):
        torch.manual_seed(number)
        sides = torch.randn(2, pairs, 19).to(device).requires_grad_()
        groups = torch.randint(0, 90, (pairs,)).to(device)
        value = loss(*sides, groups=groups)
        expected = reference(*sides, groups=groups)
        kept.append((value, expected, sides))
    for value, expected, sides in kept:  # an earlier batch's gradient is not that of a later one
        (gradient,) = torch.autograd.grad(value, sides)
        (expected_gradient,) = torch.autograd.grad(expected, sides)
        torch.testing.assert_close(value, expected)
        torch.testing.assert_close(gradient, expected_gradient, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize(("order", "copied"), [((0, 1), False), ((1, 0), True)])
def test_a_split_gradient_that_lies_in_one_piece_is_not_copied(order, copied):
    leaf = torch.randn(7, 3, requires_grad=True)
    whole = torch.randn(7, 3)
    pieces = whole.split([4, 3]) if not copied else (whole[3:], whole[:3])
    rows, gradients = leaf * 1, []
    rows.register_hook(gradients.append)
    parts = split_rows(rows, [4, 3, 0])
    torch.autograd.backward(parts, [*pieces, whole[:0]])
    assert (gradients[0].data_ptr() == whole.data_ptr()) != copied
    assert torch.equal(leaf.grad, torch.cat(pieces))


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_gradient_of_a_batch_is_not_copied_on_its_way_to_the_bags(device, smoothing, monkeypatch):
    if device.type == "cuda":
        pytest.skip("a GPU is not asked whether the gradient is to be scaled")
    rows = torch.randn(8, 5, device=device, requires_grad=True)
    loss, kept = NTXentLoss(label_smoothing=smoothing), []
    make = nt_xent_fused._loss_and_gradients
    monkeypatch.setattr(nt_xent_fused, "_loss_and_gradients", lambda *a, **k: kept.append(make(*a, **k)) or kept[-1])
    gradients = []
    pooled = rows * 1
    pooled.register_hook(lambda gradient: gradients.append(gradient.data_ptr()))
    queries, positives, _ = split_rows(pooled, [4, 4, 0])
    loss(queries, positives, groups=torch.arange(4, device=device)).backward()
    assert gradients == [kept[0][1].data_ptr()] and rows.grad.any()


@pytest.mark.cuda
def test_a_bag_sum_learns_the_same_with_kernels():
    device = torch.device("cuda")
    torch.manual_seed(4)
    bags = TensorBags.of(random_bags(300))
    table = torch.nn.Parameter(torch.randn(2_000_000, 19, device=device))
    on_device = TensorBags(*(tensor.to(device) for tensor in bags))
    weights = torch.randn(300, 19, device=device)
    (embedding_bag_sum(table, on_device, sparse=True) * weights).sum().backward()
    gradient = table.grad.coalesce()
    expected = torch.zeros_like(table)
    users = torch.repeat_interleave(torch.arange(300), bags.offsets.diff()).to(device)
    expected.index_add_(0, on_device.ids.long(), weights[users])
    torch.testing.assert_close(gradient.to_dense(), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.cuda
def test_a_row_that_has_had_no_gradient_stays_though_eps_is_zero():
    table, rows = torch.randn(5, 19, device="cuda"), torch.tensor([1, 4], device="cuda")
    before, gradients = table.clone(), torch.zeros(2, 19, device="cuda")
    gradients[0] = 1
    choice.gpu_kernels().update_rows(table, torch.zeros(5, device="cuda"), rows, gradients, 0.1, 0.0)
    assert torch.equal(table[4], before[4]) and table.isfinite().all() and (table[1] != before[1]).all()
