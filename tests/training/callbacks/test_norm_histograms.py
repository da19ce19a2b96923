import torch

from askagain.training.callbacks.norm_histograms import norm_histogram


def test_the_lengths_of_rows_are_counted_and_rows_that_are_not_finite_left_out():
    table = torch.tensor([[3.0, 4.0], [0.0, 0.0], [float("nan"), 0.0], [0.0, 4.5], [1.0, 0.0]], requires_grad=True)
    counts, edges = norm_histogram(table, bins=2)
    assert counts.tolist() == [2, 2]
    assert edges.tolist() == [0, 2.5, 5]
