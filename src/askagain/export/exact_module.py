"""A module for sentence-transformers that gives an encoder's own vectors; exported folders carry a copy of this file.

It needs askagain (numpy, scipy and safetensors), and the encoder in the folder `encoder` beside it.
"""

from pathlib import Path
from typing import Any

import torch
from sentence_transformers.base.modules import InputModule

import askagain
from askagain.models.bag_encoder import BagEncoder

ENCODER = "encoder"


class AskagainModule(InputModule):
    """The whole encoder as one module: texts in, vectors out. `encoder`: an encoder that `askagain.load` gave."""

    def __init__(self, encoder: BagEncoder) -> None:
        super().__init__()
        self.encoder = encoder
        self.register_buffer("place", torch.zeros(0), persistent=False)  # on the device of the model

    def preprocess(self, inputs: Any, prompt: str | None = None, **_settings: Any) -> dict[str, torch.Tensor]:
        """The vectors of texts, which are looked up here and now."""
        texts = [str(text) if prompt is None else prompt + str(text) for text in inputs]
        return {"sentence_embedding": torch.from_numpy(self.encoder.encode(texts))}

    def forward(self, features: dict[str, torch.Tensor], **_settings: Any) -> dict[str, torch.Tensor]:
        return features

    def get_embedding_dimension(self) -> int:
        """The length of a vector."""
        return self.encoder.dim

    @property
    def max_seq_length(self) -> float:
        """Texts are never cut."""
        return float("inf")

    def save(self, output_path: str, *_arguments: Any, **_settings: Any) -> None:
        """Writes the encoder into a folder of sentence-transformers."""
        self.encoder.save(Path(output_path) / ENCODER)

    @classmethod
    def load(cls, model_name_or_path: str, *_arguments: Any, **settings: Any) -> "AskagainModule":
        """Loads the encoder of a folder, or of a model on the Hub; raises InputError where there is none."""
        keys = ("token", "cache_folder", "revision", "local_files_only")
        hub = {key: settings[key] for key in keys if key in settings}
        folder = cls.load_dir_path(model_name_or_path, subfolder=ENCODER, **hub)
        return cls(askagain.load(str(folder)))
