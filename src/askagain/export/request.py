"""What is to be exported, as the verb was given it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np

from askagain.models.bag_encoder import BagEncoder

Encode: TypeAlias = Callable[[Sequence[str]], np.ndarray]  # texts to [texts, dim] float32


@dataclass(frozen=True)
class Request:
    """An encoder and the options of its export.

    `run`: where the encoder was loaded from. `data`: the corpus folder that it is measured on. The others are the
    options of the same names, None where they were not given.
    """

    run: Path
    encoder: BagEncoder
    data: Path | None = None
    dtype: str | None = None
    words: Path | None = None
    texts: Path | None = None
    tokenizer: str | None = None
    exact: bool = False
    name: str | None = None
    version: str | None = None
    license: str | None = None
    summary: str | None = None
