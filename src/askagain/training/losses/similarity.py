"""The similarity loss: a student should find the texts of a batch as similar to each other as its teacher does."""

import torch
from torch import nn
from torch.nn.functional import kl_div, normalize


class SimilarityLoss(nn.Module):
    """The Kullback-Leibler divergence of a student's similarity distributions from its teacher's, a scalar.

    The distribution of a text is the softmax, at `temperature`, over its cosines with the other texts of the batch; the
    loss is the mean over the texts, and 0 for fewer than three. Use it to distil a teacher whose vectors are of any
    length and dim: only similarities are compared.

    Source: Tejankar et al., "ISD: Self-Supervised Learning by Iterative Similarity Distillation", ICCV 2021.

    Example:
        >>> student, teacher = torch.randn(4, 8), torch.nn.functional.normalize(torch.randn(4, 384))
        >>> bool(SimilarityLoss(temperature=0.1)(student, teacher=teacher) > 0)
        True
        >>> bool(SimilarityLoss(temperature=0.1)(3 * teacher, teacher=teacher).abs() < 1e-5)
        True

    Cosines are divided by `temperature`; a student's vectors shorter than `eps` by it instead of by their length.
    """

    def __init__(self, temperature: float = 0.1, eps: float = 1e-8) -> None:
        super().__init__()
        self.temperature = temperature
        self.eps = eps
        self.settings = {"temperature": temperature, "eps": eps}

    def forward(self, student: torch.Tensor, *, teacher: torch.Tensor) -> torch.Tensor:
        """`student`: [b, dim], of any length. `teacher`: [b, teacher's dim], unit rows."""
        if len(student) < 3:
            return student.sum() * 0
        sides = (normalize(student, eps=self.eps), teacher)
        logs = [(_cosines_with_others(units) / self.temperature).log_softmax(dim=1) for units in sides]
        return kl_div(logs[0], logs[1], reduction="batchmean", log_target=True)


def _cosines_with_others(units: torch.Tensor) -> torch.Tensor:
    """The cosine of each text with each other one, [b, b - 1]."""
    count = len(units)
    others = ~torch.eye(count, dtype=torch.bool, device=units.device)
    return (units @ units.T)[others].view(count, count - 1)
