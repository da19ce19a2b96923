"""An encoder as a folder: JSON for what is text, safetensors for the table. Nothing in it is ever unpickled.

A training checkpoint of a bag encoder holds the same files beside its weights, so that it can be used by itself.
"""

import json
import logging
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from askagain.errors import InputError
from askagain.files.checksums import CHECKSUMS, check_files, write_checksums
from askagain.files.json_files import write_json
from askagain.files.sealed_zip import check_seal
from askagain.files.writing import atomic_write
from askagain.models.bag_encoder import BagEncoder
from askagain.text.features import Features
from askagain.text.preprocessor import TextPreprocessor

FORMAT, FORMAT_WITHOUT_CHECKSUMS = 2, 1
SETTINGS = "encoder.json"
TABLE = "table.safetensors"
PACKED_FILES = (SETTINGS, "words.json", "ngrams.json", "pairs.safetensors")  # that may be in a checkpoint
CHECKPOINT_KEY = "encoder"

log = logging.getLogger(__name__)


def save_encoder(encoder: BagEncoder, folder: Path) -> None:
    """Writes `encoder.json`, `table.safetensors` and the files of `Features.save`; replaces `folder` in one step."""
    with atomic_write(folder) as temporary:
        temporary.mkdir()
        _write_parts(encoder, temporary)
        save_file({"table": encoder.bag.weight.detach().cpu().contiguous()}, temporary / TABLE)
        (temporary / TABLE).chmod((temporary / SETTINGS).stat().st_mode)  # safetensors hides it from others
        write_checksums(temporary)


def load_encoder(path: str | Path, dim: int | None = None) -> BagEncoder:
    """Loads the first `dim` columns (None: all) of the encoder in an encoder folder, a run folder or a checkpoint.

    A checkpoint of a DSSM or of a distilled encoder needs no other file. One of the trigram regressor holds its letter
    n-grams only, and must stay in its run folder, `RUN/checkpoints/last.ckpt`: the known words and their vectors come
    from `RUN/encoder`. Raises InputError for no encoder, a damaged one, or one with fewer columns.
    """
    path = Path(path)
    encoder = _load_from_checkpoint(path) if path.suffix == ".ckpt" else _load_from_folder(path)
    return encoder if dim is None else encoder.truncated(dim)


def read_checkpoint(path: str | Path, map_location: Any = "cpu") -> dict[str, Any]:
    """Reads a checkpoint, tensors and plain values only; raises InputError where there is none or it is damaged."""
    if not Path(path).is_file():
        raise InputError(f"{path}: no such checkpoint")
    try:
        check_seal(Path(path))
        checkpoint = torch.load(path, map_location=map_location, weights_only=True)
    except Exception as error:  # torch.load raises whatever a damaged file makes it raise
        raise _damaged_checkpoint(path, error) from error
    if not isinstance(checkpoint, dict) or "state_dict" not in checkpoint:
        raise _damaged_checkpoint(path, ValueError("no state_dict"))
    return checkpoint


def checkpoint_entry(encoder: BagEncoder, table: str, row_weights: str | None) -> dict[str, Any]:
    """What a checkpoint says of its encoder under `CHECKPOINT_KEY`, for an encoder whose whole table is trained.

    `table` and `row_weights` (None: all rows weigh the same) are the names of both in the checkpoint's state_dict.
    """
    with TemporaryDirectory() as folder:
        _write_parts(encoder, Path(folder))
        files = {path.name: path.read_bytes() for path in sorted(Path(folder).iterdir())}
    packed = {name: torch.frombuffer(bytearray(content), dtype=torch.uint8) for name, content in files.items()}
    return {"files": packed, "table": table, "row_weights": row_weights}


def packed_encoder(checkpoint: dict[str, Any]) -> BagEncoder:
    """The encoder of a checkpoint whose `checkpoint_entry` has all files; another raises KeyError or the like."""
    entry = checkpoint[CHECKPOINT_KEY]
    with TemporaryDirectory() as folder:
        for name in PACKED_FILES:  # other names might lead out of the folder
            if name in entry["files"]:
                (Path(folder) / name).write_bytes(bytes(entry["files"][name].cpu().numpy()))
        return _read_encoder(Path(folder), _trained_rows(checkpoint))


def _load_from_folder(path: Path) -> BagEncoder:
    folder = path if (path / SETTINGS).is_file() else path / "encoder"
    if not (folder / SETTINGS).is_file():
        raise InputError(f"{path}: no encoder here; give a run folder of train.py, its encoder folder or a .ckpt file")
    try:
        _check(folder)
        return _read_encoder(folder, load_file(folder / TABLE)["table"])
    except InputError as error:
        raise InputError(f"{folder}: {error}") from error
    except Exception as error:  # what was made to look like an encoder can raise nearly anything
        raise InputError(
            f"{folder}: damaged encoder folder ({_reason(error)}); copy it again, or save the encoder again"
        ) from error


def _check(folder: Path) -> None:
    """Checks the files of an encoder before they are read; raises ValueError for damaged ones."""
    if not (folder / CHECKSUMS).exists() and _format(folder) == FORMAT_WITHOUT_CHECKSUMS:
        log.warning("%s: saved by an earlier version, without checksums: damage to it would not be noticed", folder)
        return
    check_files(folder, [name for name in (TABLE, *PACKED_FILES) if name == TABLE or (folder / name).exists()])


def _format(folder: Path) -> Any:
    try:
        return json.loads((folder / SETTINGS).read_bytes())["format"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def _load_from_checkpoint(path: Path) -> BagEncoder:
    checkpoint = read_checkpoint(path)
    try:
        if checkpoint[CHECKPOINT_KEY]["files"] is not None:
            return packed_encoder(checkpoint)
        trained = _trained_rows(checkpoint)
        encoder = _load_from_folder(path.parent.parent)
        if trained.shape != (encoder.features.tokenizer.vocab_size, encoder.dim):
            raise ValueError(f"its weights are {tuple(trained.shape)}, those of {path.parent.parent} others")
        with torch.no_grad():
            encoder.bag.weight[-len(trained) :] = trained
        return encoder
    except InputError:
        raise
    except Exception as error:
        raise _damaged_checkpoint(path, error) from error


def _trained_rows(checkpoint: dict[str, Any]) -> torch.Tensor:
    """The table that was trained, each row multiplied by its weight."""
    entry, state = checkpoint[CHECKPOINT_KEY], checkpoint["state_dict"]
    table = state[entry["table"]]
    return table if entry["row_weights"] is None else table * state[entry["row_weights"]].unsqueeze(1)


def _damaged_checkpoint(path: str | Path, error: Exception) -> InputError:
    return InputError(f"{path}: not a checkpoint of train.py, or a damaged one ({_reason(error)})")


def _reason(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _write_parts(encoder: BagEncoder, folder: Path) -> None:
    """Writes all files of an encoder but its table."""
    settings = {
        "format": FORMAT,
        "dim": encoder.dim,
        "pooling": encoder.pooling,
        "normalize": encoder.normalize,
        "features": encoder.features.kind,
        "preprocessor": encoder.preprocessor.to_dict(),
    }
    write_json(folder / SETTINGS, settings, indent=2)
    encoder.features.save(folder)


def _read_encoder(folder: Path, table: torch.Tensor) -> BagEncoder:
    """The encoder that `_write_parts` wrote, with its table; raises ValueError, KeyError or the like for another."""
    settings = json.loads((folder / SETTINGS).read_text(encoding="utf-8"))
    if settings["format"] not in (FORMAT, FORMAT_WITHOUT_CHECKSUMS):
        raise ValueError(f"format {settings['format']}, but this version reads {FORMAT}")
    if type(settings["normalize"]) is not bool or type(settings["dim"]) is not int:
        raise ValueError("normalize must be true or false, and dim a whole number")
    if not isinstance(settings["preprocessor"]["stopwords"], list):
        raise ValueError("stopwords must be a list")  # a name or a path would be read from somewhere else
    features = Features.load(folder, settings["features"])
    # Encoders of before `clean` did not clean; their words are spelled as their texts were.
    preprocessor = TextPreprocessor(**{"clean": False} | settings["preprocessor"])
    if table.dtype != torch.float32 or table.shape != (features.size, settings["dim"]):
        raise ValueError(f"the table is {table.dtype} {tuple(table.shape)}")
    return BagEncoder(preprocessor, features, table, settings["pooling"], settings["normalize"])
