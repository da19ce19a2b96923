"""An encoder as a folder: JSON for what is text, safetensors for the table. Nothing in it is ever unpickled."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from askagain.errors import InputError
from askagain.files.json_files import write_json
from askagain.files.writing import atomic_write
from askagain.models.bag_encoder import BagEncoder
from askagain.text.features import Features
from askagain.text.preprocessor import TextPreprocessor

SETTINGS = "encoder.json"
TABLE = "table.safetensors"
FORMAT = 3
# The formats before there were letter n-grams other than known trigrams, and before there were word pairs; they are
# written still where there are none.
WITHOUT_NGRAMS, WITHOUT_PAIRS = 2, 1

# In a checkpoint, where a run weighs features: the weights of the table's rows, those of inverse document frequency or
# those that are trained.
FIXED_WEIGHTS, LEARNED_WEIGHTS = "idf", "learned_weights"


def save_encoder(encoder: BagEncoder, folder: Path) -> None:
    """Writes `encoder.json`, `table.safetensors` and what `Features.save` does, atomic_write `folder` in one step."""
    settings = {
        "format": _format(encoder.features),
        "dim": encoder.dim,
        "pooling": encoder.pooling,
        "normalize": encoder.normalize,
        "features": encoder.features.kind,
        "preprocessor": encoder.preprocessor.to_dict(),
    }
    with atomic_write(folder) as temporary:
        temporary.mkdir()
        write_json(temporary / SETTINGS, settings, indent=2)
        encoder.features.save(temporary)
        save_file({"table": encoder.bag.weight.detach().cpu().contiguous()}, temporary / TABLE)


def _format(features: Features) -> int:
    """The lowest format that holds these features, so that versions before this one read what they can."""
    if not features.tokenizer.known_trigrams_only:
        return FORMAT
    return WITHOUT_NGRAMS if len(features.pairs) else WITHOUT_PAIRS


def load_encoder(path: str | Path, dim: int | None = None) -> BagEncoder:
    """The encoder saved in `path`: an encoder folder, a run folder with one in it, or a checkpoint of such a run.

    A checkpoint (`RUN/checkpoints/last.ckpt`) gives its own weights; the words come from the run's encoder folder.
    `dim`: keep so many first numbers of a vector only (None: all). Raises InputError for a path that holds no encoder
    or a damaged one, and for a `dim` that it has not.
    """
    encoder = _load_whole(Path(path))
    return encoder if dim is None else encoder.truncated(dim)


def _load_whole(path: Path) -> BagEncoder:
    if path.suffix == ".ckpt":
        return _from_checkpoint(path)
    folder = path if (path / SETTINGS).is_file() else path / "encoder"
    if not (folder / SETTINGS).is_file():
        raise InputError(f"{path}: no encoder here; give a run folder of train.py, its encoder folder or a .ckpt file")
    try:
        settings = json.loads((folder / SETTINGS).read_text(encoding="utf-8"))
        _check_settings(settings)
        features = Features.load(folder, settings["features"])
        table = load_file(folder / TABLE)["table"]
        if table.dtype != torch.float32 or table.shape != (features.size, settings["dim"]):
            raise ValueError(f"the table is {table.dtype} {tuple(table.shape)}")
        preprocessor = TextPreprocessor(**settings["preprocessor"])
        return BagEncoder(preprocessor, features, table, settings["pooling"], settings["normalize"])
    except (OSError, KeyError, TypeError, ValueError, AttributeError, SafetensorError) as error:
        raise InputError(f"{folder}: damaged encoder folder ({error}); save the encoder again") from error


def _check_settings(settings: dict[str, Any]) -> None:
    """Raises ValueError or KeyError where `encoder.json` is not as `save_encoder` writes it."""
    if settings["format"] not in (WITHOUT_PAIRS, WITHOUT_NGRAMS, FORMAT):
        raise ValueError(f"format {settings['format']}, but this version reads up to {FORMAT}")
    if type(settings["normalize"]) is not bool or type(settings["dim"]) is not int:
        raise ValueError("normalize must be true or false, and dim a whole number")
    if not isinstance(settings["preprocessor"]["stopwords"], list):
        raise ValueError("stopwords must be a list")  # a name or a path would be read from somewhere else


def _from_checkpoint(path: Path) -> BagEncoder:
    if not path.is_file():
        raise InputError(f"{path}: no such checkpoint")
    encoder = load_encoder(path.parent.parent)
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)["state_dict"]
        trained = next(weights for name, weights in state.items() if name.endswith("bag.weight"))
        if trained.shape[1:] != (encoder.dim,) or len(trained) not in _trainable_rows(encoder):
            raise ValueError(f"its weights are {tuple(trained.shape)}")
        for name in (FIXED_WEIGHTS, LEARNED_WEIGHTS):
            if name in state:
                trained = weighted(trained, state[name])
        # What a run trains are the last rows of its encoder's table; the trigram regressor's known words stay fixed.
        with torch.no_grad():
            encoder.bag.weight[-len(trained) :] = trained
    except Exception as error:  # torch.load raises whatever a damaged file makes it raise
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(f"{path}: not a checkpoint of the run {path.parent.parent} ({reason})") from error
    return encoder


def weighted(table: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """The table with each row times its weight: one that needs no weights. [rows, dim] and [rows] give [rows, dim]."""
    return table * weights.unsqueeze(1)


def _trainable_rows(encoder: BagEncoder) -> tuple[int, int]:
    """How many of the table's last rows a run may have trained: all of them, or those of letter n-grams only."""
    return encoder.features.size, encoder.features.tokenizer.vocab_size
