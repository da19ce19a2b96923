"""How the learning rate moves over a run: up during the warm-up, then down, step by step."""

import math
from collections.abc import Callable

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

DECAYS: dict[str, Callable[[float], float]] = {
    "none": lambda done: 1.0,
    "linear": lambda done: 1.0 - done,
    "cosine": lambda done: (1.0 + math.cos(math.pi * done)) / 2,
}


def warmup_decay(optimizer: Optimizer, total_steps: int, warmup_share: float, decay: str) -> LambdaLR:
    """Scales the learning rate linearly up over the first `warmup_share` of `total_steps`, then as `decay` says.

    `warmup_share`: from 0, below 1. `decay`: `linear` or `cosine`, down to zero; or `none`, which stays up.
    """
    warmup_steps = round(warmup_share * total_steps)

    def scale(step: int) -> float:
        if step < warmup_steps:
            return (step + 1) / (warmup_steps + 1)
        return DECAYS[decay](min(1.0, (step - warmup_steps) / max(1, total_steps - warmup_steps)))

    return LambdaLR(optimizer, scale)
