"""askagain finds the question that was already asked.

import askagain
encoder = askagain.load("runs/.../encoder")
vectors = encoder.encode(["How do I undo a commit?", "revert last git commit"])   # [2, dim] float32
"""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from askagain.models.bag_encoder import BagEncoder

__all__ = ["load"]


def load(path: str | Path, dim: int | None = None) -> "BagEncoder":
    """The encoder saved in a run folder, an encoder folder or a checkpoint; raises `InputError` where there is none.

    `dim`: keep so many first numbers of a vector only, see `model.matryoshka` (None: all).
    """
    from askagain.models.folder import load_encoder  # torch is imported when an encoder is wanted, not before

    return load_encoder(path, dim)
