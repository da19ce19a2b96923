"""A `StaticEmbedding` of sentence-transformers, which model2vec loads as well.

It takes the mean of the rows of a text's tokens, whose direction is that of their sum, and scales it to length 1. A
tokenizer cuts a text into parts that do not overlap: word pairs are lost, and letter n-grams are folded into the rows
of known words. The folder also carries code and the encoder itself, if it is to give the same vectors.
"""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from askagain.errors import InputError
from askagain.export.packages import needed
from askagain.export.pieces import marked, piece_rows
from askagain.export.request import Encode, Request
from askagain.export.tokenizer_file import UNKNOWN, make_tokenizer, stand_ins
from askagain.export.word_table import further_words, known_words, word_rows
from askagain.files.json_files import write_json
from askagain.models.bag_encoder import BagEncoder
from askagain.models.folder import save_encoder

TOKENIZERS = ("words", "pieces")
EXACT_FILE, EXACT_CLASS, ENCODER = "askagain_module", "AskagainModule", "encoder"


def write(request: Request, path: Path) -> None:
    """Writes a folder for `SentenceTransformer(FOLDER)`, with `trust_remote_code=True` where it is exact."""
    path.mkdir()
    write_json(
        path / "config_sentence_transformers.json",
        {"model_type": "SentenceTransformer", "similarity_fn_name": "cosine", "prompts": {}},
        indent=2,
    )
    if request.exact:
        _write_exact(request.encoder, path)
    else:
        _write_static(request, path)


def read(request: Request, path: Path) -> Encode:
    """The model in a folder, as sentence-transformers loads it."""
    package = needed("sentence_transformers")
    model = package.SentenceTransformer(str(path), device="cpu", trust_remote_code=request.exact)
    return lambda texts: model.encode(list(texts), batch_size=1024, show_progress_bar=False)


def _write_exact(encoder: BagEncoder, path: Path) -> None:
    save_encoder(encoder, path / ENCODER)
    shutil.copyfile(Path(__file__).with_name("exact_module.py"), path / f"{EXACT_FILE}.py")
    write_json(path / "modules.json", [_module(0, "", f"{EXACT_FILE}.{EXACT_CLASS}")], indent=2)


def _write_static(request: Request, path: Path) -> None:
    from safetensors.numpy import save_file

    encoder = request.encoder
    in_pieces = (request.tokenizer or _usual(encoder)) == "pieces"
    if in_pieces and not encoder.features.tokenizer.vocab_size:
        raise InputError("--tokenizer pieces: the encoder knows no letter n-grams; choose words")
    tokens, rows = _token_rows(request, in_pieces)
    make_tokenizer(encoder.preprocessor, tokens, in_pieces).save(str(path / "tokenizer.json"))
    save_file({"embeddings": rows}, path / "model.safetensors")  # the name that both libraries read
    (path / "model.safetensors").chmod((path / "tokenizer.json").stat().st_mode)
    # model2vec's; without a bound of its own it would cut texts after 512 tokens.
    write_json(path / "config.json", {"model_type": "model2vec", "normalize": True, "max_length": None}, indent=2)
    write_json(
        path / "modules.json",
        [
            _module(0, "", "sentence_transformers.models.StaticEmbedding"),
            _module(1, "1_Normalize", "sentence_transformers.models.Normalize"),
        ],
        indent=2,
    )
    (path / "1_Normalize").mkdir()
    write_json(path / "1_Normalize" / "config.json", {})


def _usual(encoder: BagEncoder) -> str:
    """Pieces wherever there are letter n-grams: they keep more."""
    return "pieces" if encoder.features.tokenizer.vocab_size else "words"


def _token_rows(request: Request, in_pieces: bool) -> tuple[list[str], np.ndarray]:
    """The tokens and their rows, [tokens, dim] float32: the unknown token, known words, stop words, and pieces."""
    encoder = request.encoder
    words = known_words(encoder) + further_words(encoder, request.words)
    if not words and not in_pieces:
        raise InputError("the encoder knows letter n-grams and no words; choose --tokenizer pieces")
    spelled = _spelled(encoder, in_pieces)
    tokens = [UNKNOWN, *map(spelled, words)]
    rows = [np.zeros((1, encoder.dim), dtype=np.float32), word_rows(encoder, words)]
    if in_pieces:
        # Terms and stop words must not be cut into pieces.
        terms = [term for term in encoder.preprocessor.protected_terms if term not in encoder.features.vocabulary]
        stop_words = sorted(set(encoder.preprocessor.stopwords) - set(words) - set(terms))
        pieces, piece_table = piece_rows(encoder, words)
        tokens += [*map(spelled, terms), *map(spelled, stop_words), *pieces]
        rows += [word_rows(encoder, terms), np.zeros((len(stop_words), encoder.dim), dtype=np.float32), piece_table]
    table = np.concatenate(rows)
    distinct = {token: place for place, token in reversed(list(enumerate(tokens)))}  # the first row of each
    order = sorted(distinct.values())
    return [tokens[place] for place in order], np.ascontiguousarray(table[order])


def _spelled(encoder: BagEncoder, in_pieces: bool) -> Callable[[str], str]:
    """How a word stands in the tokenizer."""
    letters = stand_ins(encoder.preprocessor)
    mark: Callable[[str], str] = marked if in_pieces else str
    return lambda word: mark(letters.get(word, word))


def _module(place: int, folder: str, kind: str) -> dict[str, Any]:
    return {"idx": place, "name": str(place), "path": folder, "type": kind}
