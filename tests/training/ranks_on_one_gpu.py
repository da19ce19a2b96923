"""What the ranks of test_gpu.py compute: a loss that they share, all on one GPU."""

import numpy as np
import torch

from askagain.distributed.collectives import World
from askagain.distributed.launch import process_group
from askagain.training.losses.nt_xent import NTXentLoss

PAIRS, DIM = 257, 12  # not to be dealt out evenly


def batch(device: str) -> tuple[torch.Tensor, torch.Tensor]:
    """The same vectors, [2 pairs, dim], and groups, [pairs], for every rank."""
    torch.manual_seed(0)
    vectors, groups = torch.randn(2 * PAIRS, DIM), torch.randint(0, 40, (PAIRS,))
    return vectors.to(device).requires_grad_(), groups.to(device)


def loss_and_gradient(device: str, world: World) -> tuple[float, np.ndarray]:
    """The loss, and the gradient of all vectors, [2 pairs, dim]."""
    vectors, groups = batch(device)
    loss = NTXentLoss()(*vectors.split(PAIRS), groups=groups, world=world)
    loss.backward()
    assert vectors.grad is not None
    return float(loss), vectors.grad.cpu().numpy()


def work() -> tuple[float, np.ndarray]:
    """As a rank among others, over gloo: NCCL refuses two ranks on one GPU."""
    with process_group("cpu"):
        return loss_and_gradient("cuda:0", World.current())
