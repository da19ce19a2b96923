"""The terms of an index: what a ranker that counts them has learned from its questions, kept beside the vectors."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse import csc_array

from askagain.errors import InputError
from askagain.files.arrays import load_array
from askagain.files.json_files import distinct_strings, write_json
from askagain.models.lexical import Bm25, LexicalRanker, TfIdf
from askagain.text.preprocessor import TextPreprocessor

LEXICAL = ("bm25", "letters")
LETTERS = [3, 5]  # of n-grams, shortest and longest
NAMES, COUNTS = "terms.json", "texts_with.npy"


def make_ranker(name: str, preprocessor: TextPreprocessor) -> LexicalRanker:
    """A ranker that counts the words (`bm25`) or the letter n-grams (`letters`, TF-IDF) of an encoder's texts.

    Raises InputError for another name.
    """
    if name == "bm25":
        return Bm25(preprocessor, k1=1.2, b=0.75)
    if name == "letters":
        return TfIdf(preprocessor, sublinear=True, letters=LETTERS)
    raise InputError(f"hybrid={name}: not one of {', '.join(LEXICAL)}")


def save_ranker(ranker: LexicalRanker, folder: Path) -> dict[str, Any]:
    """Writes what a ranker was fitted to, and returns the rest of it as JSON values."""
    state = ranker.state()
    write_json(folder / NAMES, state.terms)
    np.save(folder / COUNTS, state.texts_with)
    return {"fitted": state.fitted, "mean_length": state.mean_length}


def load_ranker(name: str, preprocessor: TextPreprocessor, folder: Path, rest: Mapping[str, Any]) -> LexicalRanker:
    """Reads what `save_ranker` wrote; raises ValueError or KeyError for a damaged folder."""
    import json

    ranker = make_ranker(name, preprocessor)
    columns = distinct_strings(json.loads((folder / NAMES).read_bytes()), NAMES)
    ranker.restore(columns, load_array(folder / COUNTS), int(rest["fitted"]), float(rest["mean_length"]))
    return ranker


def term_scores(ranker: LexicalRanker, texts: Iterable[str]) -> csc_array:
    """What each fitted term adds to the score of each text, [texts, terms] float32."""
    rows = ranker.candidates(texts)
    ranker.forget_new_terms()
    by_term = csc_array(rows[:, : ranker.fitted_terms])
    by_term.resize((rows.shape[0], ranker.fitted_terms))
    return csc_array(
        (by_term.data.astype(np.float32), by_term.indices.astype(np.int32), by_term.indptr), shape=by_term.shape
    )


def question_terms(ranker: LexicalRanker, question: str) -> tuple[np.ndarray, np.ndarray]:
    """The fitted terms of a question, and what each weighs in it."""
    row = ranker.questions([question])
    ranker.forget_new_terms()
    is_known = row.indices < ranker.fitted_terms
    return row.indices[is_known], row.data[is_known]
