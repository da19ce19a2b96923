"""An encoder as a folder: JSON for what is text, safetensors for the table. Nothing in it is ever unpickled."""

import json
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from askagain.errors import InputError
from askagain.files.arrays import read_tensors
from askagain.files.checksums import CHECKSUMS, THREADS, check_files, write_checksums
from askagain.files.json_files import write_json
from askagain.files.sha256sums import check_sha256sums
from askagain.files.writing import atomic_write
from askagain.models.bag_encoder import BagEncoder
from askagain.models.named import built_folder, check_name, located
from askagain.models.table import Table
from askagain.text.features import Features
from askagain.text.preprocessor import TextPreprocessor
from askagain.text.vocabulary import LOOKUP

FORMAT, FORMAT_WITHOUT_CHECKSUMS = 3, 1
FORMATS = (1, 2, 3)  # 2 and 1 have tables of float32 only
SETTINGS = "encoder.json"
TABLE = "table.safetensors"
WORDS = "words.json"
PARTS = (SETTINGS, WORDS, "ngrams.json", "pairs.safetensors")  # all but the table

log = logging.getLogger(__name__)


def save_encoder(encoder: BagEncoder, folder: Path) -> None:
    """Writes `encoder.json`, `table.safetensors` and the files of `Features.save`; replaces `folder` in one step."""
    from safetensors.numpy import save_file

    if folder.is_dir() and any(folder.iterdir()) and not (folder / SETTINGS).is_file():
        raise InputError(f"{folder}: holds something else than an encoder; name another folder")
    with atomic_write(folder) as temporary:
        temporary.mkdir()
        write_parts(encoder, temporary)
        save_file(dict(encoder.table.tensors), temporary / TABLE)
        encoder.features.vocabulary.save_lookup(temporary)
        for name in (TABLE, LOOKUP):  # safetensors hides them from others
            (temporary / name).chmod((temporary / SETTINGS).stat().st_mode)
        write_checksums(temporary)


def save_named(encoder: BagEncoder, name: str) -> Path:
    """Saves an encoder so that `askagain.load(name)` finds it on this machine, in place of an earlier one of the name.

    Returns its folder; raises InputError for what cannot be a name.
    """
    check_name(name)
    folder = built_folder(name)
    save_encoder(encoder, folder)
    return folder


def load_encoder(path: str | Path, dim: int | None = None, memory_map: bool = False) -> BagEncoder:
    """Loads the first `dim` columns (None: all) of the encoder in an encoder folder, a run folder or a checkpoint.

    A name that is no path here stands for the encoder that was built or installed under it, see `located`. A checkpoint
    of a DSSM or of a distilled encoder needs no other file. One of the trigram regressor holds its letter n-grams only,
    and must stay in its run folder, `RUN/checkpoints/last.ckpt`: the known words and their vectors come from
    `RUN/encoder`. With `memory_map` the table of a folder is read as its rows are used, and only some blocks of it
    are checked. Raises InputError for no encoder, a damaged one, or one with fewer columns.
    """
    given, path = Path(path), located(path)
    if path != given:
        log.info("%s: the encoder in %s", given, path)
    if path.suffix == ".ckpt":
        from askagain.models.checkpoint import load_from_checkpoint  # it needs PyTorch

        encoder = load_from_checkpoint(path)
    else:
        encoder = load_from_folder(path, memory_map)
    return encoder if dim is None else encoder.truncated(dim)


def encoder_folder(path: str | Path) -> Path:
    """The encoder folder that a path is or has in it, or that of a name; raises InputError where there is none."""
    path = located(path)
    try:
        folder = path if (path / SETTINGS).is_file() else path / "encoder"
        is_there = (folder / SETTINGS).is_file()
    except (OSError, ValueError):  # a name that is too long
        is_there = False
    if not is_there:
        raise InputError(f"{path}: no encoder here; give a run folder of train.py, its encoder folder or a .ckpt file")
    return folder


def load_from_folder(path: Path, memory_map: bool = False) -> BagEncoder:
    """The encoder in an encoder folder or a run folder; see `load_encoder`."""
    folder = encoder_folder(path)
    with ThreadPoolExecutor(1) as pool:
        checking = pool.submit(_check, folder, memory_map)  # hashing releases the interpreter lock
        try:
            encoder = read_parts(folder, lambda: _read_table(folder / TABLE, memory_map), memory_map)
            checking.result()
        except Exception as error:  # what was made to look like an encoder can raise nearly anything
            cause = checking.exception() or error
            if isinstance(cause, InputError):
                raise InputError(f"{folder}: {cause}") from error
            raise InputError(
                f"{folder}: damaged encoder folder ({reason(cause)}); copy it again, or save the encoder again"
            ) from error
    return encoder


def write_parts(encoder: BagEncoder, folder: Path) -> None:
    """Writes all files of an encoder but its table."""
    settings = {
        "format": FORMAT,
        "dim": encoder.dim,
        "dtype": encoder.table.dtype,
        "pooling": encoder.pooling,
        "normalize": encoder.normalize,
        "features": encoder.features.kind,
        "preprocessor": encoder.preprocessor.to_dict(),
    }
    write_json(folder / SETTINGS, settings, indent=2)
    encoder.features.save(folder)


def read_parts(folder: Path, read_table: Callable[[], Table], memory_map: bool = False) -> BagEncoder:
    """The encoder that `write_parts` wrote, with its table; raises ValueError, KeyError or the like for another."""
    settings = json.loads((folder / SETTINGS).read_text(encoding="utf-8"))
    if settings["format"] not in FORMATS:
        raise ValueError(f"format {settings['format']}, but this version reads {FORMAT}")
    if type(settings["normalize"]) is not bool or type(settings["dim"]) is not int:
        raise ValueError("normalize must be true or false, and dim a whole number")
    if not isinstance(settings["preprocessor"]["stopwords"], list):
        raise ValueError("stopwords must be a list")  # a name or a path would be read from somewhere else
    features = Features.load(folder, settings["features"], memory_map)
    # Encoders of before `clean` did not clean; their words are spelled as their texts were.
    preprocessor = TextPreprocessor(**{"clean": False} | settings["preprocessor"])
    table = read_table()
    if table.rows.shape != (features.size, settings["dim"]) or table.dtype != settings.get("dtype", "float32"):
        raise ValueError(f"the table is {table.dtype} {table.rows.shape}")
    return BagEncoder(preprocessor, features, table, settings["pooling"], settings["normalize"])


def reason(error: BaseException) -> str:
    """The first line of what an error says."""
    return (str(error).splitlines() or [type(error).__name__])[0]


def _read_table(path: Path, memory_map: bool) -> Table:
    tensors = read_tensors(path, memory_map)
    return Table(tensors["table"], tensors.get("scales"))


def _check(folder: Path, sampled: bool) -> None:
    """Checks the files of an encoder before they are read; raises ValueError for damaged ones."""
    if not (folder / CHECKSUMS).exists() and _format(folder) == FORMAT_WITHOUT_CHECKSUMS:
        log.warning("%s: saved by an earlier version, without checksums: damage to it would not be noticed", folder)
        return
    parts = [name for name in (*PARTS, LOOKUP) if (folder / name).exists()]
    is_read = [name for name in parts if name != (WORDS if sampled and LOOKUP in parts else LOOKUP)]
    check_files(folder, is_read, threads=1)
    check_files(folder, [TABLE], sampled, threads=1 if sampled else THREADS)
    # Exported folders list their files once more. The table is large, and was just read for its checksums: it is not
    # read again, and neither are the parts.
    check_sha256sums(folder, skipped=[*parts, TABLE])


def _format(folder: Path) -> Any:
    try:
        return json.loads((folder / SETTINGS).read_bytes())["format"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
