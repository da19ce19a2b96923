"""NT-Xent: every question should be most alike to its own duplicate among all the duplicates of the batch."""

import torch
from torch.nn.functional import log_softmax, normalize


def nt_xent(
    queries: torch.Tensor,
    positives: torch.Tensor,
    groups: torch.Tensor | None,
    temperature: float,
    eps: float,
) -> torch.Tensor:
    """The symmetric NT-Xent loss of a batch of b pairs, a scalar.

    With unit rows Q, D and temperature t it is the mean over i of
    -1/2 log softmax_row(Q D'/t)_ii - 1/2 log softmax_row(D Q'/t)_ii.

    `queries`, `positives`: [b, dim], any length; rows shorter than `eps` are divided by `eps` instead of their length,
    so that zero rows stay zero and their gradients finite. `groups`: [b] integers; the other members of a pair's own
    group are left out of its softmax rows instead of being pushed away (None: nothing is masked).
    Source: Chen et al., "A Simple Framework for Contrastive Learning of Visual Representations", ICML 2020, with the
    two directions of Radford et al., "Learning Transferable Visual Models From Natural Language Supervision", 2021.
    """
    logits = normalize(queries, dim=1, eps=eps) @ normalize(positives, dim=1, eps=eps).T / temperature  # [b, b]
    if groups is not None:
        same_group = groups[:, None] == groups[None, :]
        same_group.fill_diagonal_(False)
        logits = logits.masked_fill(same_group, float("-inf"))
    return -(log_softmax(logits, dim=1).diagonal() + log_softmax(logits.T, dim=1).diagonal()).mean() / 2
