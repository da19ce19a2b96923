"""The mean squared error of sums of table rows, which the trigram regressor minimizes."""

from typing import Any

import torch

from askagain.training.kernels.choice import native_kernels
from askagain.training.optim.embedding_bag import TensorBags, embedding_bag_sum, gradient_at, row_sums


def squared_error_of_sums(table: torch.Tensor, bags: TensorBags, targets: torch.Tensor, sparse: bool) -> torch.Tensor:
    """`mse_loss(embedding_bag_sum(table, bags, sparse), targets)`, a scalar; `targets`: [bags, dim].

    Its gradient is made beside it: on a processor in one pass, else in the memory of the sums.
    """
    fits = table.device.type == "cpu" and table.dtype == torch.float32 and table.is_contiguous()
    if fits and native_kernels() is not None:
        return _SquaredErrorOfSums.apply(table, bags, targets.to(torch.float32).contiguous(), sparse)
    return _MeanSquaredError.apply(embedding_bag_sum(table, bags, sparse), targets)


class _SquaredErrorOfSums(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, table: torch.Tensor, bags: TensorBags, targets: torch.Tensor, sparse: bool) -> torch.Tensor:
        kernels = native_kernels()
        assert kernels is not None
        loss, gradient = kernels.bag_errors(table, bags.ids, bags.offsets, targets)
        ctx.save_for_backward(gradient, bags.rows, bags.users, bags.user_offsets)
        ctx.shape, ctx.sparse = table.shape, sparse
        return loss

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad_output: torch.Tensor) -> tuple[torch.Tensor, None, None, None]:
        gradient, rows, users, user_offsets = ctx.saved_tensors
        row_grads = row_sums(_times(gradient, grad_output), users, user_offsets)
        return gradient_at(rows, row_grads, ctx.shape, ctx.sparse), None, None, None


class _MeanSquaredError(torch.autograd.Function):
    """`mse_loss` in the memory of the predictions: their gradient takes their place."""

    @staticmethod
    def forward(ctx: Any, predicted: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        difference = predicted.sub_(target).view(-1)
        loss = torch.dot(difference, difference) / difference.numel()
        difference.mul_(2 / difference.numel())
        ctx.save_for_backward(predicted)
        return loss

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad_output: torch.Tensor) -> tuple[torch.Tensor, None]:
        (gradient,) = ctx.saved_tensors
        return _times(gradient, grad_output), None


def _times(gradient: torch.Tensor, grad_output: torch.Tensor) -> torch.Tensor:
    """The gradient, in its own memory, times that of the loss, which is mostly 1."""
    if grad_output.is_cuda or grad_output != 1:  # a GPU would be waited for
        gradient.mul_(grad_output)
    return gradient
