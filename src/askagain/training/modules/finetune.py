"""Fine-tuning: a model of sentence-transformers learns from the duplicates of a site."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from askagain.files.writing import atomic_write
from askagain.models.other_packages import SentenceTransformerEncoder
from askagain.training.data.batches import TextPairBatch
from askagain.training.data.teacher import SentenceTransformerTeacher
from askagain.training.modules.base import RetrievalModule


class TunedEncoder(SentenceTransformerEncoder):
    """A model of sentence-transformers that is being trained."""

    @property
    def is_finite(self) -> bool:
        """Whether all weights are finite."""
        return all(bool(weights.isfinite().all()) for weights in self.model.parameters())

    def _encode(self, texts: list[str]) -> np.ndarray:
        """As usual; sentence-transformers switches dropout off for it, and leaves it so."""
        was_training = self.model.training
        try:
            return super()._encode(texts)
        finally:
            self.model.train(was_training)


class FineTuning(RetrievalModule):
    """Trains all weights of a model of sentence-transformers on pairs of duplicates, each as a text.

    It trains on one device, and writes no checkpoints: `save` writes the model.

    Args:
        encoder: The model to train.
        loss: An `NTXentLoss`, or what is called like it.
        optimizer: Takes the parameters (None: for a module that is not trained).
        scheduler: Takes the optimizer and `total_steps` (None: likewise).
        max_tokens: What is read of a text to train on.
    """

    def __init__(
        self,
        encoder: TunedEncoder,
        loss: nn.Module,
        optimizer: Callable[..., Optimizer] | None = None,
        scheduler: Callable[..., LambdaLR] | None = None,
        max_tokens: int = 64,
    ) -> None:
        super().__init__(None, optimizer, scheduler)  # type: ignore[arg-type]  # there is no table
        self.model = encoder.model
        self.loss = loss
        self.max_tokens = max_tokens
        self._encoder = encoder

    @classmethod
    def from_teacher(
        cls, teacher: SentenceTransformerTeacher, max_tokens: int, loss: nn.Module, optimizer: Any, scheduler: Any
    ) -> Self:
        """The module of a teacher's model, which is loaded for it; the other arguments are those of the class.

        Raises InputError as `SentenceTransformerEncoder` does.
        """
        return cls(tuned_encoder(teacher), loss, optimizer, scheduler, max_tokens)

    @property
    def encoder(self) -> TunedEncoder:  # type: ignore[override]
        return self._encoder

    @torch.no_grad()
    def forward(self, texts: Sequence[str]) -> torch.Tensor:  # type: ignore[override]
        """The encoder's vectors of texts, [texts, dim]."""
        return torch.from_numpy(self.encoder.encode(texts)).to(self.device)

    def batch_loss(self, batch: TextPairBatch) -> torch.Tensor:
        queries, positives = self._vectors(batch.texts).split(batch.size)
        return self.loss(queries, positives, groups=torch.from_numpy(batch.groups).to(self.device), world=self.world)

    def _vectors(self, texts: list[str]) -> torch.Tensor:
        """The vectors of texts, [texts, dim] float32. Texts of about one length are read together, to pad less."""
        order = sorted(range(len(texts)), key=lambda place: len(texts[place]))
        size = self.encoder.batch_size
        parts = [self._read([texts[i] for i in order[start : start + size]]) for start in range(0, len(order), size)]
        return torch.cat(parts)[torch.tensor(order).argsort().to(self.device)]

    def _read(self, texts: list[str]) -> torch.Tensor:
        prompt, longest = self.encoder.prompt, self.model.max_seq_length
        self.model.max_seq_length = self.max_tokens if longest is None else min(self.max_tokens, longest)
        try:
            tokens = self.model.preprocess(texts, prompt=prompt)
        finally:
            self.model.max_seq_length = longest
        tokens = {name: value.to(self.device) if hasattr(value, "to") else value for name, value in tokens.items()}
        return self.model(tokens)["sentence_embedding"].float()

    def save(self, folder: Path) -> None:
        """Writes a folder that sentence-transformers loads, and replaces `folder` in one step."""
        with atomic_write(folder) as temporary:
            self.model.save_pretrained(str(temporary), create_model_card=False)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Adds nothing: the model is saved as a folder."""

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Takes the weights as they are."""


def tuned_encoder(teacher: SentenceTransformerTeacher) -> TunedEncoder:
    """A teacher's model, loaded anew; raises InputError as `SentenceTransformerEncoder` does."""
    return TunedEncoder(teacher.model, teacher.batch_size, revision=teacher.revision, prompt=teacher.prompt)
