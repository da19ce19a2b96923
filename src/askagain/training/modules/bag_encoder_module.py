"""What rungs that train a whole bag encoder have in common: its table, and what NT-Xent over its vectors needs."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from askagain.errors import InputError
from askagain.models.bag_encoder import POOLINGS, BagEncoder
from askagain.models.folder import FIXED_WEIGHTS, LEARNED_WEIGHTS, weighted
from askagain.text.features import Features
from askagain.text.preprocessor import TextPreprocessor
from askagain.training.losses.nt_xent_fused import LARGEST_FLOAT32_LOGIT, SMALLEST_TEMPERATURE
from askagain.training.modules.base import RetrievalModule
from askagain.training.modules.initialization import Initializer
from askagain.training.optim.embedding_bag import TensorBags

LOWEST_LEARNED_TEMPERATURE = 1 / LARGEST_FLOAT32_LOGIT

BEFORE_WEIGHTS = "encoder.bag.weight"
FEATURE_WEIGHTS = ("none", "idf", "learned")


class BagEncoderModule(RetrievalModule):
    """Trains every row of a `BagEncoder`'s table.

    `idf`: gives what each feature weighs, see `inverse_document_frequencies`; asked only where `feature_weights` is
    `idf`, by which a feature's row then counts, or `learned`, where that is what the trained weights start from; `none`
    lets all rows count the same. `dim`: the length of a vector. `init_std`: standard deviation of the table's first
    values. `pooling`: the encoder's. `temperature`, `label_smoothing`, `eps`, `mask_same_group`: see `nt_xent`; with
    `learn_temperature` the temperature is where training starts from, and is trained as well. `matryoshka`: vectors cut
    off after so many numbers (those below `dim`) are trained to be good ones too; `matryoshka_weight` times their mean
    loss is added to that of whole vectors. `start`: what rows start from that it knows, see `Initializer.fill`; None:
    all start random. `optimizer`, `scheduler`: see `RetrievalModule`. Raises InputError for a value out of range.
    Source of `matryoshka`: Kusupati et al., "Matryoshka Representation Learning", NeurIPS 2022.
    """

    def __init__(
        self,
        preprocessor: TextPreprocessor,
        features: Features,
        idf: Callable[[], np.ndarray],
        optimizer: Callable[..., Optimizer],
        scheduler: Callable[..., LambdaLR],
        dim: int,
        init_std: float,
        feature_weights: str,
        pooling: str,
        temperature: float,
        learn_temperature: bool,
        label_smoothing: float,
        eps: float,
        mask_same_group: bool,
        matryoshka: Sequence[int],
        matryoshka_weight: float,
        start: Initializer | None = None,
    ) -> None:
        super().__init__(features, optimizer, scheduler)
        check_temperature("temperature", temperature)
        if learn_temperature and temperature < LOWEST_LEARNED_TEMPERATURE:
            least = LOWEST_LEARNED_TEMPERATURE
            raise InputError(f"model.temperature={temperature}: must be at least {least} with model.learn_temperature")
        if not 0 <= label_smoothing < 1:
            raise InputError(f"model.label_smoothing={label_smoothing}: must be at least 0 and below 1")
        if eps <= 0:
            raise InputError(f"model.eps={eps}: must be above 0")
        if dim < 1:
            raise InputError(f"model.dim={dim}: must be at least 1")
        if not all(width >= 1 for width in matryoshka):
            raise InputError(f"model.matryoshka={list(matryoshka)}: each must be at least 1")
        if matryoshka_weight < 0:
            raise InputError(f"model.matryoshka_weight={matryoshka_weight}: must be at least 0")
        if init_std < 0:
            raise InputError(f"model.init_std={init_std}: must be at least 0")
        if feature_weights not in FEATURE_WEIGHTS:
            raise InputError(f"model.feature_weights={feature_weights}: not one of {', '.join(FEATURE_WEIGHTS)}")
        if pooling not in POOLINGS:
            raise InputError(f"model.pooling={pooling}: not one of {', '.join(POOLINGS)}")
        table = torch.empty(features.size, dim).normal_(std=init_std)
        self.bag = nn.EmbeddingBag(features.size, dim, mode=pooling, include_last_offset=True, _weight=table)
        if feature_weights == "idf":
            self.register_buffer(FIXED_WEIGHTS, torch.from_numpy(idf()))
        elif feature_weights == "learned":
            self.register_parameter(LEARNED_WEIGHTS, nn.Parameter(torch.from_numpy(idf())))
        self.started_rows = 0 if start is None else self._start(start, init_std)
        self.preprocessor = preprocessor
        self._temperature = temperature
        self.log_temperature = nn.Parameter(torch.tensor(math.log(temperature))) if learn_temperature else None
        self.label_smoothing = label_smoothing
        self.eps = eps
        self.mask_same_group = mask_same_group
        self.matryoshka = sorted({width for width in matryoshka if width < dim})
        self.matryoshka_weight = matryoshka_weight

    def _start(self, start: Initializer, init_std: float) -> int:
        """Fills rows so that they are those of the start when they have been weighted."""
        with torch.no_grad():
            rows = start.fill(self.bag.weight, self.features, init_std)
            if self._weights is not None:
                self.bag.weight[rows] /= self._weights[rows].unsqueeze(1)
        return len(rows)

    @property
    def temperature(self) -> float | torch.Tensor:
        """That of NT-Xent; a scalar tensor where it is learned."""
        if self.log_temperature is None:
            return self._temperature
        return self.log_temperature.exp()

    def counts(self) -> dict[str, float]:
        """Rows that started from an encoder or from word vectors, and not random."""
        return {"started_rows": self.started_rows}

    @property
    def encoder(self) -> BagEncoder:
        """The encoder as it is now: without weights it shares the table that is trained; with weights it has a table of
        its own, each row times its weight, so that it needs none.
        """
        table = self.bag.weight.detach()
        if self._weights is not None:
            table = weighted(table, self._weights.detach())
        return BagEncoder(self.preprocessor, self.features, table, self.bag.mode, normalize=True)

    @property
    def _weights(self) -> torch.Tensor | None:
        """What each row of the table counts by, [features.size]; None where all count the same."""
        return getattr(self, FIXED_WEIGHTS, getattr(self, LEARNED_WEIGHTS, None))

    def sums(self, bags: TensorBags) -> torch.Tensor:
        """Vectors that point where the encoder's do, of any length, [bags, dim]."""
        return self.bag_sum(self.bag.weight, bags, self._weights)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """As in `RetrievalModule`; a checkpoint from before there were weights names its table otherwise."""
        state = checkpoint["state_dict"]
        if BEFORE_WEIGHTS in state:
            state["bag.weight"] = state.pop(BEFORE_WEIGHTS)
        super().on_load_checkpoint(checkpoint)

    def matryoshka_loss(self, loss: Callable[[torch.Tensor], torch.Tensor], vectors: torch.Tensor) -> torch.Tensor:
        """The loss of whole vectors, [n, dim], and the weighted mean of those of vectors that are cut off."""
        whole = loss(vectors)
        if not self.matryoshka:
            return whole
        return whole + self.matryoshka_weight * torch.stack([loss(vectors[:, :m]) for m in self.matryoshka]).mean()

    def optimizer_step(self, *args: Any, **settings: Any) -> None:
        """Keeps a temperature that is learned from falling so low that logits would not fit into float32."""
        super().optimizer_step(*args, **settings)
        if self.log_temperature is not None:
            with torch.no_grad():
                self.log_temperature.clamp_(min=math.log(LOWEST_LEARNED_TEMPERATURE))

    def on_train_epoch_end(self) -> None:
        """As in `RetrievalModule`; logs the temperature as well where it is learned."""
        super().on_train_epoch_end()
        if self.log_temperature is not None:
            self.log("train/temperature", self.temperature)

    def masked(self, groups: torch.Tensor) -> torch.Tensor | None:
        """The groups that NT-Xent is told of; None where it masks nothing."""
        return groups if self.mask_same_group else None


def check_temperature(name: str, value: float) -> None:
    """Raises InputError for a temperature at which a softmax cannot be computed."""
    if value < SMALLEST_TEMPERATURE:
        raise InputError(f"model.{name}={value}: must be at least {SMALLEST_TEMPERATURE}")
