"""The optimizer of embedding tables: Adagrad that reads and writes the rows of a batch and no others."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch.optim import Optimizer

from askagain.training.kernels.choice import fused


class RowwiseAdagrad(Optimizer):
    """Adagrad with one second moment a row.

    For every row i of a parameter with a gradient g_i, in float32:

        second_moment="row":   s_i += mean(g_i^2), a number;     w_i -= lr * g_i / (sqrt(s_i) + eps)
        second_moment="full":  s_i += g_i^2, as many as w_i has;  the same, element by element

    with s_i = 0 at the start. A row that a batch does not use has a zero gradient, which changes neither s_i nor w_i:
    so leaving it out is not an approximation, a sparse step and a dense one give the same table. A sparse gradient
    (see `askagain.training.optim.embedding_bag.embedding_bag_sum`) is used up by the step: its values are scratch space
    afterwards. A parameter with fewer than two dimensions always has full second moments.

    Source: Duchi, Hazan, Singer, "Adaptive Subgradient Methods for Online Learning and Stochastic Optimization", JMLR
    2011; one second moment a row as in Mudigere et al., "Software-Hardware Co-design for Fast and Scalable Training of
    Deep Learning Recommendation Models", ISCA 2022.
    """

    takes_sparse_gradients = True
    # Nothing of it is compiled. torch wraps these to say so, and imports its compiler at the first call: 0.7 seconds.
    add_param_group = Optimizer.add_param_group.__wrapped__  # type: ignore[attr-defined]
    load_state_dict = Optimizer.load_state_dict.__wrapped__  # type: ignore[attr-defined]
    state_dict = Optimizer.state_dict.__wrapped__  # type: ignore[attr-defined]

    def __init__(self, params: Iterable[Any], lr: float, eps: float, second_moment: str) -> None:
        super().__init__(params, {"lr": lr, "eps": eps, "second_moment": second_moment})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step over all parameters that have a gradient; returns what `closure` does."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._update(parameter, parameter.grad, group)
        return loss

    def _update(self, parameter: torch.Tensor, gradient: torch.Tensor, group: dict[str, Any]) -> None:
        by_row = group["second_moment"] == "row" and parameter.dim() > 1
        state = self.state[parameter]
        if not state:
            state["second_moment"] = parameter.new_zeros(len(parameter) if by_row else parameter.shape)
        moments = state["second_moment"]
        if gradient.is_sparse:
            gradient = gradient.coalesce()
            rows, change = gradient.indices()[0], gradient.values()
            is_table = (
                by_row and parameter.dim() == 2 and parameter.dtype == torch.float32 and parameter.is_contiguous()
            )
            kernels = fused(parameter.device) if is_table else None
            if kernels is not None:
                kernels.update_rows(parameter, moments, rows, change, float(group["lr"]), group["eps"])
                return
        else:
            rows, change = None, gradient.clone()
        if by_row:
            squares = torch.linalg.vector_norm(change.flatten(1), dim=1).square_().div_(parameter[0].numel())
        else:
            squares = change.square()
        _add(moments, rows, squares)
        seen = moments if rows is None else moments.index_select(0, rows)
        scale = seen.sqrt().add_(group["eps"]).reciprocal_().mul_(-group["lr"])
        change.mul_(scale.view(-1, *[1] * (change.dim() - 1)) if by_row else scale)
        _add(parameter, rows, change)


def _add(target: torch.Tensor, rows: torch.Tensor | None, values: torch.Tensor) -> None:
    """Adds to some rows, or to all; one may be repeated with values of zero, see `ResidentBags.take`."""
    if rows is None:
        target.add_(values)
    else:
        target.index_add_(0, rows, values)
