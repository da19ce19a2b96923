"""A loss as plain settings, which a checkpoint can hold; and from these, the loss again."""

from typing import Any

from torch import nn

from askagain.errors import InputError
from askagain.training.losses.distillation import DistillationLoss
from askagain.training.losses.matryoshka import MatryoshkaLoss
from askagain.training.losses.nt_xent import NTXentLoss, ReferenceNTXentLoss
from askagain.training.losses.similarity import SimilarityLoss

# A checkpoint may come from anywhere, so nothing but these is ever called with what stands in one.
LOSSES = {
    kind.__name__: kind for kind in (NTXentLoss, ReferenceNTXentLoss, SimilarityLoss, MatryoshkaLoss, DistillationLoss)
}


def loss_settings(loss: nn.Module) -> dict[str, Any]:
    """The class and the settings of a loss; no settings where it is not one of `LOSSES`."""
    if LOSSES.get(type(loss).__name__) is not type(loss):
        return {"class": type(loss).__name__}
    settings: Any = loss.settings
    plain = {name: loss_settings(value) if isinstance(value, nn.Module) else value for name, value in settings.items()}
    return {"class": type(loss).__name__, "settings": plain}


def loss_from_settings(recorded: dict[str, Any]) -> nn.Module:
    """A new loss with recorded settings; raises InputError for a class that is not one of `LOSSES`."""
    name, settings = recorded["class"], recorded.get("settings")
    if name not in LOSSES or settings is None:
        raise InputError(f"loss: the checkpoint was trained with {name}, which is not known here; give it as loss=")
    nested = {key: loss_from_settings(value) for key, value in settings.items() if isinstance(value, dict)}
    return LOSSES[name](**settings | nested)
