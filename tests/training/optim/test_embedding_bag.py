"""Sums of table rows and their gradients against PyTorch's EmbeddingBag."""

import numpy as np
import pytest
import torch
from torch import nn

from askagain.text.bags import Bags
from askagain.training.optim.embedding_bag import TensorBags, embedding_bag_sum

SEED = 11
ROWS, DIM = 40, 5


def some_bags() -> Bags:
    print(f"seed {SEED}")
    rng = np.random.default_rng(SEED)
    return Bags.from_lists([rng.integers(0, ROWS, size).tolist() for size in (3, 0, 7, 1, 0, 12, 4)])


def test_bags_turned_around_name_the_users_of_every_row_that_is_used():
    bags = TensorBags.of(Bags.from_lists([[7, 2, 7], [], [2], [9]]))
    assert bags.ids.tolist() == [7, 2, 7, 2, 9] and bags.offsets.tolist() == [0, 3, 3, 4, 5]
    assert bags.rows.tolist() == [2, 7, 9]
    users = bags.users.split(np.diff(bags.user_offsets).tolist())
    assert [sorted(of_row.tolist()) for of_row in users] == [[0, 2], [0, 0], [3]]


@pytest.mark.parametrize("sparse", [True, False])
def test_sums_and_gradients_are_those_of_an_embedding_bag(sparse):
    bags = some_bags()
    torch.manual_seed(SEED)
    reference = nn.EmbeddingBag(ROWS, DIM, mode="sum", include_last_offset=True)
    table = reference.weight.detach().clone().requires_grad_()
    of_sums = torch.randn(len(bags), DIM)
    expected = reference(torch.from_numpy(bags.ids).long(), torch.from_numpy(bags.offsets))
    found = embedding_bag_sum(table, TensorBags.of(bags), sparse)
    torch.testing.assert_close(found, expected)
    expected.backward(of_sums)
    found.backward(of_sums)
    assert table.grad.is_sparse == sparse
    torch.testing.assert_close(table.grad.to_dense(), reference.weight.grad)


@pytest.mark.parametrize("sparse", [True, False])
@pytest.mark.parametrize("learned", [True, False])
def test_weighted_sums_and_gradients_are_those_of_a_table_whose_rows_are_scaled(sparse, learned):
    bags = some_bags()
    torch.manual_seed(SEED)
    table, of_sums = torch.randn(ROWS, DIM), torch.randn(len(bags), DIM)
    weights = torch.randn(ROWS)

    def gradients(sums):
        own = [table.clone().requires_grad_(), weights.clone().requires_grad_(learned)]
        found = sums(*own)
        found.backward(of_sums)
        return found.detach(), *[one.grad for one in own]

    ids, offsets = torch.from_numpy(bags.ids).long(), torch.from_numpy(bags.offsets)
    expected = gradients(
        lambda t, w: nn.functional.embedding_bag(ids, t * w[:, None], offsets, mode="sum", include_last_offset=True)
    )
    found = gradients(lambda t, w: embedding_bag_sum(t, TensorBags.of(bags), sparse, w))
    torch.testing.assert_close(found[0], expected[0])
    for one, other in zip(found[1:], expected[1:], strict=True):
        assert (one is None) == (other is None)
        if one is not None:
            assert one.is_sparse == sparse
            torch.testing.assert_close(one.to_dense(), other)


def test_the_sparse_gradient_of_weights_holds_those_of_the_batch_and_no_others():
    table, weights = torch.randn(10**6, DIM), torch.ones(10**6, requires_grad=True)
    bags = TensorBags.of(some_bags())
    embedding_bag_sum(table, bags, sparse=True, weights=weights).sum().backward()
    assert weights.grad._indices()[0].tolist() == bags.rows.tolist()
    assert weights.grad._values().shape == (len(bags.rows),)


def test_a_sparse_gradient_holds_the_rows_of_the_batch_once_each_and_no_others():
    table = torch.randn(10**6, DIM, requires_grad=True)
    bags = TensorBags.of(some_bags())
    embedding_bag_sum(table, bags, sparse=True).sum().backward()
    assert table.grad._indices()[0].tolist() == sorted(set(bags.ids.tolist()))
    assert table.grad._values().numel() == len(bags.rows) * DIM


def test_batches_without_a_single_token_have_a_gradient_without_rows():
    table = torch.randn(ROWS, DIM, requires_grad=True)
    sums = embedding_bag_sum(table, TensorBags.of(Bags.from_lists([[], []])), sparse=True)
    assert not sums.any()
    sums.sum().backward()
    assert table.grad._nnz() == 0
