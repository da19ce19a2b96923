"""The formats by name: what each is written and read back by, and which options it has."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from askagain.errors import InputError
from askagain.export import encoder_folder, index, onnx_model, sentence_transformers, wheel, word2vec
from askagain.export.destination import MARKER
from askagain.export.request import Encode, Request
from askagain.files.json_files import write_json
from askagain.files.sha256sums import write_sha256sums
from askagain.files.writing import atomic_write


@dataclass(frozen=True)
class Format:
    """A format of exports.

    `write` writes a request to a path that is not there yet; `read` gives what encodes with it, by the format's own
    library. `suffixes`: what the name of a file may end in; none where it is a folder. `options`: those of `Request`
    that it heeds. `is_index`: it holds vectors, and encodes nothing.
    """

    write: Callable[[Request, Path], None]
    read: Callable[[Request, Path], Encode]
    suffixes: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    is_index: bool = False


FORMATS: Mapping[str, Format] = {
    "askagain": Format(encoder_folder.write, encoder_folder.read, options=("dtype",)),
    "wheel": Format(wheel.write, wheel.read, options=("dtype", "name", "version", "license", "summary")),
    "sentence-transformers": Format(
        sentence_transformers.write, sentence_transformers.read, options=("tokenizer", "exact", "words")
    ),
    "word2vec": Format(word2vec.write_text, word2vec.read_text, (".txt", ".vec"), ("words",)),
    "word2vec-bin": Format(word2vec.write_binary, word2vec.read_binary, (".bin",), ("words",)),
    "kv": Format(word2vec.write_keyed_vectors, word2vec.read_keyed_vectors, (".kv",), ("words",)),
    "onnx": Format(onnx_model.write, onnx_model.read),
    "faiss": Format(index.write_faiss, index.read_faiss, options=("texts",), is_index=True),
    "usearch": Format(index.write_usearch, index.read_usearch, options=("texts",), is_index=True),
}
OPTIONS = ("dtype", "words", "texts", "tokenizer", "exact", "name", "version", "license", "summary")


def check_options(name: str, request: Request) -> None:
    """Raises InputError for an option that a format does not heed, and for two that exclude each other."""
    for option in OPTIONS:
        if getattr(request, option) and option not in FORMATS[name].options:
            heeding = [other for other, kind in FORMATS.items() if option in kind.options]
            raise InputError(f"--{option}: is of --format {' or '.join(heeding)}, not of {name}")
    if name == "wheel" and request.name is None:
        raise InputError("--format wheel: needs the name that askagain.load will find it by; give one with --name NAME")
    if request.exact and (request.tokenizer or request.words):
        raise InputError("--exact: takes the encoder's own words; leave --tokenizer and --words out")
    if FORMATS[name].is_index and request.texts is None:
        raise InputError(f"--format {name}: needs texts; give a file of one a line with --texts FILE")


def export(name: str, request: Request, path: Path) -> None:
    """Writes an encoder in a format; the file or folder appears whole or not at all.

    Raises InputError where a package is missing, or where the format cannot hold the encoder.
    """
    with atomic_write(path) as temporary:
        FORMATS[name].write(request, temporary)
        if temporary.is_dir():
            write_json(temporary / MARKER, {"format": name})
        if name == "askagain":
            write_sha256sums(temporary)
