"""A part of an index that never changes: some questions, their vectors, and the counts of their terms."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from askagain.errors import InputError
from askagain.files.arrays import load_array
from askagain.files.checksums import check_files, write_checksums
from askagain.files.json_files import write_json
from askagain.files.writing import atomic_write
from askagain.search.nearest import Approximation, NearestVectors
from askagain.search.questions import Question

if TYPE_CHECKING:
    import polars as pl
    from scipy.sparse import csc_array

    from askagain.models.lexical import LexicalRanker

SETTINGS, QUESTIONS, MOMENTS = "segment.json", "questions.arrow", "moments.npy"
TERMS = ("term_values", "term_rows", "term_offsets")


class Segment:
    """Questions of an index in a folder of their own.

    `encoder`: the fingerprint of the encoder that gave the vectors. `moments`: the sum of all vectors, and below it the
    sum of their outer products, [1 + dim, dim] float64. `terms`: what each term adds to the score of each question,
    [questions, terms] float32; None where none are kept.
    """

    def __init__(self, folder: Path, encoder: str) -> None:
        """Opens a segment; raises InputError where it is damaged, or has another encoder's vectors."""
        self.folder = folder
        try:
            check_files(folder, sampled=True)
            settings = json.loads((folder / SETTINGS).read_bytes())
            if settings["encoder"] != encoder:
                raise InputError(
                    f"{folder}: these are the vectors of another encoder than the index has; index the questions again"
                )
            chosen = settings["approximation"]
            self.nearest = NearestVectors.load(folder, None if chosen is None else Approximation(**chosen))
            self.questions = _read_questions(folder / QUESTIONS)
            # Opened at once: a writer may remove the folder, and what is open stays.
            self.moments = load_array(folder / MOMENTS)
            self.terms = self._read_terms()
            if len(self.nearest) != len(self.questions):
                raise ValueError("there are not as many vectors as questions")
        except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"{folder}: damaged ({error}); build the index again") from error

    def __len__(self) -> int:
        return len(self.questions)

    def question(self, row: int) -> Question:
        return Question(*self.questions.row(row))

    def rows_of(self, ids: Sequence[str]) -> dict[str, int]:
        """The row of each of the ids that are here."""
        hashes, order = self._sorted_hashes
        wanted = np.fromiter(map(hash, ids), np.int64, len(ids))
        starts, ends = np.searchsorted(hashes, wanted), np.searchsorted(hashes, wanted, side="right")
        return {
            one: row
            for one, start, end in zip(ids, starts.tolist(), ends.tolist(), strict=True)
            for row in order[start:end].tolist()
            if self.questions["id"][row] == one
        }

    @cached_property
    def _sorted_hashes(self) -> tuple[np.ndarray, np.ndarray]:
        """The hashes of all ids in rising order, and the row of each."""
        hashes = np.fromiter(map(hash, self.questions["id"]), np.int64, len(self))
        order = np.argsort(hashes, kind="stable")
        return hashes[order], order

    def terms_of(self, _ranker: "LexicalRanker") -> "csc_array | None":
        """`terms`, which are those of the ranker that the index was built with."""
        return self.terms

    def all_questions(self) -> list[Question]:
        """Its questions, in order."""
        return [Question(*row) for row in self.questions.select("id", "text", "encoded").iter_rows()]

    def _read_terms(self) -> "csc_array | None":
        """What each term adds to the score of each question, [questions, terms] float32; None where none are kept."""
        from scipy.sparse import csc_array

        if not (self.folder / f"{TERMS[0]}.npy").exists():
            return None
        values, rows, offsets = (load_array(self.folder / f"{name}.npy", "r") for name in TERMS)
        return csc_array((values, rows, offsets), shape=(len(self), len(offsets) - 1))


def write_segment(
    folder: Path,
    questions: Sequence[Question],
    vectors: np.ndarray,
    encoder: str,
    kind: str,
    terms: "csc_array | None" = None,
) -> None:
    """Writes a segment; the folder appears whole or not at all.

    Args:
        folder: where.
        questions: [n].
        vectors: [n, dim] float32, of length 1 or 0.
        encoder: the fingerprint of the encoder that gave them.
        kind: of the index of vectors, see `askagain.search.nearest.KINDS`.
        terms: [n, terms], see `Segment.terms`.
    """
    import polars as pl

    nearest = NearestVectors.build(vectors, kind)
    with atomic_write(folder, durable=True) as temporary:
        temporary.mkdir()
        nearest.save(temporary)
        columns = zip(*questions, strict=True) if questions else ((), (), ())
        schema = {"id": pl.String, "text": pl.String, "encoded": pl.String}
        table = pl.DataFrame(dict(zip(schema, map(list, columns), strict=True)), schema=schema)
        table.write_ipc(temporary / QUESTIONS, compression="uncompressed")
        np.save(temporary / MOMENTS, moments(vectors))
        if terms is not None:
            for name, array in zip(TERMS, (terms.data, terms.indices, terms.indptr), strict=True):
                np.save(temporary / f"{name}.npy", array)
        approximation = None if nearest.approximation is None else asdict(nearest.approximation)
        write_json(temporary / SETTINGS, {"encoder": encoder, "approximation": approximation})
        write_checksums(temporary)


def moments(vectors: np.ndarray) -> np.ndarray:
    """The sum of [n, dim] vectors, and below it the sum of their outer products: [1 + dim, dim] float64."""
    sums = np.zeros((1 + vectors.shape[1], vectors.shape[1]))
    sums[0] = vectors.sum(axis=0, dtype=np.float64)
    sums[1:] = vectors.T @ vectors
    return sums


def _read_questions(path: Path) -> "pl.DataFrame":
    import polars as pl

    try:
        return pl.read_ipc(path)
    except pl.exceptions.PolarsError as error:
        raise ValueError(str(error).splitlines()[0]) from error
