"""The parts of a module as plain settings, which a checkpoint can hold; and from these, the parts again."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import nn

from askagain.errors import InputError
from askagain.training.losses.distillation import DistillationLoss
from askagain.training.losses.matryoshka import MatryoshkaLoss
from askagain.training.losses.nt_xent import NTXentLoss, ReferenceNTXentLoss
from askagain.training.losses.similarity import SimilarityLoss
from askagain.training.optim.rowwise_adagrad import RowwiseAdagrad
from askagain.training.optim.schedules import warmup_decay

# A checkpoint may come from anywhere, so nothing but these is ever called with what stands in one.
LOSSES = {
    kind.__name__: kind for kind in (NTXentLoss, ReferenceNTXentLoss, SimilarityLoss, MatryoshkaLoss, DistillationLoss)
}
FACTORIES: dict[str, Callable[..., Any]] = {
    factory.__name__: factory
    for factory in (RowwiseAdagrad, torch.optim.Adam, torch.optim.AdamW, torch.optim.SGD, warmup_decay)
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


def factory_settings(factory: Callable[..., Any]) -> dict[str, Any] | None:
    """The name and the settings of a `functools.partial` of one of `FACTORIES`; None for anything else."""
    function = getattr(factory, "func", None)
    name = getattr(function, "__name__", "")
    if not isinstance(factory, partial) or FACTORIES.get(name) is not function or factory.args:
        return None
    return {"name": name, "settings": {key: _plain(value) for key, value in factory.keywords.items()}}


def factory_from_settings(recorded: dict[str, Any] | None) -> Callable[..., Any]:
    """The factory again; for None one that raises InputError when it is called, since it cannot be trained with."""
    if recorded is None or recorded["name"] not in FACTORIES:
        return _refuse_training
    return partial(FACTORIES[recorded["name"]], **recorded["settings"])


def _refuse_training(*_: Any, **__: Any) -> Any:
    raise InputError("load_from_checkpoint: give optimizer= and scheduler= to train on; the checkpoint's are not known")


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, Sequence) and not isinstance(value, str) else value
