"""The encoder in a training checkpoint: it holds the files of an encoder folder beside its weights."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from askagain.errors import InputError
from askagain.files.sealed_zip import check_seal
from askagain.models.bag_encoder import BagEncoder
from askagain.models.folder import PARTS, load_from_folder, read_parts, reason, write_parts
from askagain.models.table import Table

CHECKPOINT_KEY = "encoder"


def read_checkpoint(path: str | Path, map_location: Any = "cpu") -> dict[str, Any]:
    """Reads a checkpoint, tensors and plain values only; raises InputError where there is none or it is damaged."""
    if not Path(path).is_file():
        raise InputError(f"{path}: no such checkpoint")
    try:
        check_seal(Path(path))
        checkpoint = torch.load(path, map_location=map_location, weights_only=True)
    except Exception as error:  # torch.load raises whatever a damaged file makes it raise
        raise _damaged(path, error) from error
    if not isinstance(checkpoint, dict) or "state_dict" not in checkpoint:
        raise _damaged(path, ValueError("no state_dict"))
    return checkpoint


def checkpoint_entry(encoder: BagEncoder, table: str, row_weights: str | None) -> dict[str, Any]:
    """What a checkpoint says of its encoder under `CHECKPOINT_KEY`, for an encoder whose whole table is trained.

    `table` and `row_weights` (None: all rows weigh the same) are the names of both in the checkpoint's state_dict.
    """
    with TemporaryDirectory() as folder:
        write_parts(encoder, Path(folder))
        files = {path.name: path.read_bytes() for path in sorted(Path(folder).iterdir())}
    packed = {name: torch.frombuffer(bytearray(content), dtype=torch.uint8) for name, content in files.items()}
    return {"files": packed, "table": table, "row_weights": row_weights}


def packed_encoder(checkpoint: dict[str, Any]) -> BagEncoder:
    """The encoder of a checkpoint whose `checkpoint_entry` has all files; another raises KeyError or the like."""
    entry = checkpoint[CHECKPOINT_KEY]
    with TemporaryDirectory() as folder:
        for name in PARTS:  # other names might lead out of the folder
            if name in entry["files"]:
                (Path(folder) / name).write_bytes(bytes(entry["files"][name].cpu().numpy()))
        return read_parts(Path(folder), lambda: Table(_trained_rows(checkpoint)))


def load_from_checkpoint(path: Path) -> BagEncoder:
    """The encoder in a checkpoint; see `askagain.models.folder.load_encoder`."""
    checkpoint = read_checkpoint(path)
    try:
        if checkpoint[CHECKPOINT_KEY]["files"] is not None:
            return packed_encoder(checkpoint)
        trained = _trained_rows(checkpoint)
        encoder = load_from_folder(path.parent.parent)
        if trained.shape != (encoder.features.tokenizer.vocab_size, encoder.dim):
            raise ValueError(f"its weights are {trained.shape}, those of {path.parent.parent} others")
        rows = np.concatenate([encoder.table.take(np.arange(len(encoder.table) - len(trained))), trained])
        return encoder.with_table(Table(rows))
    except InputError:
        raise
    except Exception as error:
        raise _damaged(path, error) from error


def _trained_rows(checkpoint: dict[str, Any]) -> np.ndarray:
    """The table that was trained, each row multiplied by its weight."""
    entry, state = checkpoint[CHECKPOINT_KEY], checkpoint["state_dict"]
    table = state[entry["table"]]
    weighted = table if entry["row_weights"] is None else table * state[entry["row_weights"]].unsqueeze(1)
    return weighted.detach().cpu().numpy()


def _damaged(path: str | Path, error: Exception) -> InputError:
    return InputError(f"{path}: not a checkpoint of train.py, or a damaged one ({reason(error)})")
