"""askagain finds the question that was already asked.

Use an encoder:

    encoder = askagain.load("runs/.../encoder")
    vectors = encoder.encode(["How do I undo a commit?", "revert last git commit"])  # [2, dim] float32

Train one, and rank with it:

    run = askagain.train(experiment="dssm", overrides=["data=tsv", "data.dir=DIR"])
    run.metrics["val/mrr"], run.encoder, run.folder
    askagain.evaluate(run.folder, overrides=["data=tsv", "data.dir=DIR", "data.split=test"]).metrics
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from askagain.apps.api import Run, evaluate, train
    from askagain.models.bag_encoder import BagEncoder

__all__ = ["Run", "evaluate", "load", "train"]


def load(path: str | Path, dim: int | None = None, memory_map: bool = False) -> "BagEncoder":
    """The encoder saved in a run folder, an encoder folder or a checkpoint, or under a name.

    Only a checkpoint needs PyTorch.

    Args:
        path: The run folder, encoder folder or .ckpt file, or the name of an encoder that was built on this machine or
            installed as a package.
        dim: Keep only the first numbers of each vector (None: all); an encoder that was trained with the Matryoshka
            loss is made for it.
        memory_map: Read rows of the table when they are used: starts faster, and processes share the memory.

    Raises:
        InputError: There is no encoder, it is damaged, or its vectors are shorter than `dim`.
    """
    from askagain.models.folder import load_encoder

    return load_encoder(path, dim, memory_map)


def __getattr__(name: str) -> Any:
    """`train`, `evaluate` and `Run`, imported when they are first asked for: they need Hydra and Lightning."""
    if name in __all__:
        from askagain.apps import api

        return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
