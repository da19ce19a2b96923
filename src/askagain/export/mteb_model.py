"""An encoder as a model of MTEB 2: `mteb.evaluate(MtebModel(RUN), tasks=...)`."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mteb.models.abs_encoder import AbsEncoder
from mteb.models.model_meta import ModelMeta, ScoringFunction

import askagain

MEBIBYTE = 1 << 20
NO_REVISION = "not_stated"  # MTEB keeps results by it, and it must be given


class MtebModel(AbsEncoder):
    """An encoder that MTEB evaluates.

    Prompts and instructions are not heeded: queries and documents are encoded alike. A document's title stands before
    its text, as in other models of MTEB.

    Args:
        path: Run folder, encoder folder or .ckpt file.
        revision: What MTEB keeps results by; name another one for each training.
        name: `organization/model`; None: askagain and the name of the folder.
        training_datasets: Tasks of MTEB whose texts the encoder was trained on.
        device: Heeded by nothing; MTEB's command gives one.

    Raises:
        InputError: There is no encoder, or it is damaged.
    """

    def __init__(
        self,
        path: str | Path,
        revision: str | None = None,
        *,
        name: str | None = None,
        training_datasets: Iterable[str] = (),
        device: str | None = None,
    ) -> None:
        self.model = askagain.load(path)
        folder = Path(path).absolute()
        folder = folder.parent if folder.name == "encoder" else folder
        table = self.model.table
        self.mteb_model_meta = ModelMeta(
            loader=None,  # MTEB cannot find it by its name
            name=name or f"askagain/{folder.stem}",
            revision=revision or NO_REVISION,
            release_date=None,
            languages=None,
            n_parameters=table.rows.size,
            n_embedding_parameters=table.rows.size,
            memory_usage_mb=table.nbytes / MEBIBYTE,
            max_tokens=np.inf,
            embed_dim=self.model.dim,
            license=None,
            open_weights=None,
            public_training_code=None,
            public_training_data=None,
            framework=["NumPy"],
            similarity_fn_name=ScoringFunction.COSINE,
            use_instructions=False,
            training_datasets=set(training_datasets) or None,
        )

    def encode(self, inputs: Iterable[Mapping[str, Sequence[str]]], **_settings: Any) -> np.ndarray:
        """The vectors of all texts of MTEB's batches, [texts, dim] float32."""
        return self.model.encode([text for batch in inputs for text in batch["text"]])
