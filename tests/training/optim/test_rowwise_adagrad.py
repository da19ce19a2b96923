"""The row-wise optimizer against a transcription of its update in float64, and against dense gradients."""

import copy

import numpy as np
import pytest
import torch

from askagain.text.bags import Bags
from askagain.training.optim.embedding_bag import TensorBags, embedding_bag_sum
from askagain.training.optim.rowwise_adagrad import RowwiseAdagrad

SEED = 13
ROWS, DIM = 60, 8


def gradient(rng, rows) -> torch.Tensor:
    """A sparse gradient of some distinct rows."""
    values = torch.from_numpy(rng.standard_normal((len(rows), DIM)).astype(np.float32))
    return torch.sparse_coo_tensor(torch.tensor(rows)[None], values, (ROWS, DIM), is_coalesced=True)


def optimizer_of(table, second_moment, lr=0.3, eps=1e-10):
    return RowwiseAdagrad([table], lr=lr, eps=eps, second_moment=second_moment)


@pytest.mark.parametrize("second_moment", ["row", "full"])
def test_sparse_steps_equal_the_dense_definition(second_moment):
    print(f"seed {SEED}")
    rng = np.random.default_rng(SEED)
    torch.manual_seed(SEED)
    table = torch.randn(ROWS, DIM, requires_grad=True)
    expected = table.detach().double().numpy().copy()
    moments = np.zeros((ROWS, 1) if second_moment == "row" else (ROWS, DIM))
    optimizer = optimizer_of(table, second_moment)
    for _ in range(5):
        rows = sorted(rng.choice(ROWS, 20, replace=False).tolist())
        table.grad = gradient(rng, rows)
        dense = table.grad.to_dense().double().numpy()  # zero in the rows that are not used
        before = table.detach().clone()
        optimizer.step()
        moments += (dense**2).mean(axis=1, keepdims=True) if second_moment == "row" else dense**2
        expected -= 0.3 * dense / (np.sqrt(moments) + 1e-10)
        np.testing.assert_allclose(table.detach().numpy(), expected, rtol=0, atol=1e-6)
        untouched = np.setdiff1d(np.arange(ROWS), rows)
        assert torch.equal(table[untouched], before[untouched])


@pytest.mark.parametrize("second_moment", ["row", "full"])
def test_sparse_and_dense_gradients_of_a_batch_train_the_same_table(second_moment):
    rng = np.random.default_rng(SEED)
    torch.manual_seed(SEED)
    tables = [torch.randn(ROWS, DIM).requires_grad_()]
    tables.append(copy.deepcopy(tables[0]))
    optimizers = [optimizer_of(table, second_moment) for table in tables]
    for _ in range(10):
        bags = TensorBags.of(Bags.from_lists([rng.integers(0, ROWS, size).tolist() for size in rng.integers(0, 6, 12)]))
        target = torch.from_numpy(rng.standard_normal((12, DIM)).astype(np.float32))
        for table, optimizer, sparse in zip(tables, optimizers, (True, False), strict=True):
            optimizer.zero_grad()
            (embedding_bag_sum(table, bags, sparse) - target).square().sum().backward()
            assert table.grad.is_sparse == sparse
            optimizer.step()
    torch.testing.assert_close(tables[0], tables[1], rtol=0, atol=1e-6)


def test_a_row_that_stands_several_times_in_a_gradient_is_summed_first():
    tables = [torch.ones(4, 2).requires_grad_() for _ in range(2)]
    twice = torch.sparse_coo_tensor(torch.tensor([[1, 1, 3]]), torch.tensor([[1.0, 2], [3, -1], [5, 5]]), (4, 2))
    for table, given in zip(tables, (twice, twice.to_dense()), strict=True):
        table.grad = given
        optimizer_of(table, "row").step()
    torch.testing.assert_close(tables[0], tables[1])


@pytest.mark.parametrize("second_moment", ["row", "full"])
def test_a_batch_without_a_single_token_changes_nothing(second_moment):
    table = torch.ones(ROWS, DIM, requires_grad=True)
    embedding_bag_sum(table, TensorBags.of(Bags.from_lists([[], []])), sparse=True).sum().backward()
    optimizer_of(table, second_moment).step()
    assert (table == 1).all()


def test_a_parameter_of_one_number_is_trained_too():
    scale = torch.tensor(2.0, requires_grad=True)
    optimizer = RowwiseAdagrad([scale], lr=0.5, eps=1e-10, second_moment="row")
    for expected in (1.5, 1.5 - 0.5 / 2**0.5):
        scale.grad = torch.tensor(3.0)
        optimizer.step()
        assert scale.item() == pytest.approx(expected)


def test_its_state_is_a_number_a_row_and_can_be_saved_and_taken_up():
    rng = np.random.default_rng(SEED)
    gradients = [gradient(rng, sorted(rng.choice(ROWS, 9, replace=False).tolist())) for _ in range(4)]
    whole, parted = (torch.ones(ROWS, DIM, requires_grad=True) for _ in range(2))
    optimizer = optimizer_of(whole, "row")
    for given in gradients:
        whole.grad = given.clone()
        optimizer.step()
    assert optimizer.state[whole]["second_moment"].shape == (ROWS,)
    first = optimizer_of(parted, "row")
    for given in gradients[:2]:
        parted.grad = given.clone()
        first.step()
    second = optimizer_of(parted, "row")
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    for given in gradients[2:]:
        parted.grad = given.clone()
        second.step()
    assert torch.equal(whole, parted)
