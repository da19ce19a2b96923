"""An index of questions as a folder: the encoder, segments that never change, and a list of what holds now.

`index.json` is the list. Adding writes a new segment and then a new list; removing writes the removed rows and then a
new list. The list is replaced in one step, so that readers see all of a change or nothing of it, and those that have
the earlier list go on with its files, which stay open.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from askagain.errors import InputError
from askagain.files.arrays import load_array
from askagain.models.bag_encoder import BagEncoder
from askagain.models.folder import load_encoder
from askagain.models.lexical import LexicalRanker
from askagain.ranking.fusion import z_scores
from askagain.search.index_list import ENCODER, LIST, TERMS, Hybrid, IndexList, check_digest, fingerprint, read_list
from askagain.search.lexical_terms import COUNTS, NAMES, load_ranker, question_terms
from askagain.search.questions import Question
from askagain.search.segment import Segment

FUSED = 100  # questions that each of two rankers suggests
ATTEMPTS = 5  # to open an index that is being changed


class Hit(NamedTuple):
    """A question of an index that answers a search.

    `text`: what is shown. `score`: the cosine, or what fused rankers give. `encoded`: what the encoder read.
    """

    id: str
    text: str
    score: float
    encoded: str


class Index:
    """Questions that can be searched, as they were when the folder was opened or last refreshed.

    Args:
        folder: of the index.

    Raises:
        InputError: There is no index, or it is damaged.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        if not (self.folder / LIST).is_file():
            raise InputError(f"{folder}: no index here; make one with askagain index")
        self._fingerprint = ""
        self._segments: dict[str, Segment] = {}
        self.refresh()

    def refresh(self) -> None:
        """Reads what has changed since, also where another index was put into the place of this one."""
        for attempt in range(ATTEMPTS):
            listed = read_list(self.folder)
            try:
                if listed.encoder != self._fingerprint:
                    self._load_encoder(listed)
                self._open(listed)
                return
            except InputError:
                if attempt == ATTEMPTS - 1 or read_list(self.folder) == listed:
                    raise  # no writer has replaced the files meanwhile

    def _load_encoder(self, listed: IndexList) -> None:
        if fingerprint(self.folder / ENCODER) != listed.encoder:
            raise InputError(f"{self.folder}: the encoder in it is not the one that made it; build the index again")
        self.encoder: BagEncoder = load_encoder(self.folder / ENCODER, memory_map=True)
        self._fingerprint = listed.encoder

    def _open(self, listed: IndexList) -> None:
        opened = {
            name: self._segments.get(name) or Segment(self.folder / name, self._fingerprint) for name in listed.segments
        }
        removed = {name: np.zeros(len(segment), dtype=bool) for name, segment in opened.items()}
        try:
            rows = np.zeros((0, 2), dtype=np.int64)
            if listed.removed is not None:
                check_digest(self.folder, listed.removed, listed)
                rows = load_array(self.folder / listed.removed)
            for place, name in enumerate(listed.segments):
                removed[name][rows[rows[:, 0] == place, 1]] = True
        except (OSError, ValueError, IndexError) as error:
            raise InputError(f"{self.folder}: damaged ({error}); build the index again") from error
        self._listed, self._segments, self._removed = listed, opened, removed
        self._ranker: LexicalRanker | None = None

    def __len__(self) -> int:
        return sum(len(segment) - int(self._removed[name].sum()) for name, segment in self._segments.items())

    @property
    def hybrid(self) -> Hybrid | None:
        """The ranker beside the encoder, if it was built with one."""
        return self._listed.hybrid

    def questions(self) -> Iterator[Question]:
        """All questions, in the order in which they were added."""
        for name, segment in self._segments.items():
            for question, is_removed in zip(segment.all_questions(), self._removed[name].tolist(), strict=True):
                if not is_removed:
                    yield question

    def info(self) -> dict[str, Any]:
        """What is in the index, by name."""
        found = [segment.nearest.approximation for segment in self._segments.values()]
        recalls = [approximation.recall for approximation in found if approximation is not None]
        size = sum(path.stat().st_size for path in self.folder.rglob("*") if path.is_file())
        return {
            "questions": len(self),
            "removed": sum(int(rows.sum()) for rows in self._removed.values()),
            "segments": len(self._segments),
            "kind": ", ".join(dict.fromkeys("flat" if one is None else one.kind for one in found)) or "flat",
            "recall@10": min(recalls, default=1.0),
            "dim": self.encoder.dim,
            "encoder": f"{len(self.encoder.features.vocabulary):,} words, {self.encoder.table.dtype}",
            "hybrid": "none" if self.hybrid is None else f"{self.hybrid.name}, weight {self.hybrid.weight:g}",
            "MB": round(size / 1e6, 1),
        }

    def search(self, questions: Sequence[str], k: int = 10, hybrid: bool = False) -> list[list[Hit]]:
        """The `k` best questions of the index for each of `questions`, best first; equal scores keep their order.

        With `hybrid` the score is that of the encoder fused with the ranker that the index was built with. Raises
        InputError for `k` below 1, and where the index has no such ranker.
        """
        if isinstance(questions, str):
            raise TypeError("questions is one string; give a list of questions")
        if k < 1:
            raise InputError(f"k={k}: must be at least 1")
        vectors = self.encoder.encode(list(questions), normalize=True)
        if hybrid:
            return [self._hybrid(question, vector, k) for question, vector in zip(questions, vectors, strict=True)]
        found = [
            (place, name, *segment.nearest.search(vectors, k, self._removed[name]))
            for place, (name, segment) in enumerate(self._segments.items())
        ]
        hits: list[list[Hit]] = []
        for query in range(len(questions)):
            candidates = [
                (-float(score), place, int(row), name)
                for place, name, rows, scores in found
                for row, score in zip(rows[query], scores[query], strict=True)
                if row >= 0
            ]
            best = sorted(candidates)[:k]
            hits.append([self._hit(name, row, -score) for score, _, row, name in best])
        return hits

    def _hit(self, name: str, row: int, score: float) -> Hit:
        question_id, text, encoded = self._segments[name].questions.row(row)
        return Hit(question_id, text, score, encoded)

    def _hybrid(self, question: str, vector: np.ndarray, k: int) -> list[Hit]:
        """The best questions by the sum of both rankers' z-scores over all questions of the index.

        Each ranker suggests its best ones; the mean and the deviation of the cosines come from the moments of all
        vectors, those of the other scores from the scores.
        """
        hybrid = self.hybrid
        if hybrid is None:
            raise InputError(f"{self.folder}: built without --hybrid; build it again with --hybrid bm25")
        if not len(self):
            return []
        ranker = self._lexical()
        terms, weights = question_terms(ranker, question)
        scores = {name: _term_sums(segment, terms, weights) for name, segment in self._segments.items()}
        everything = np.concatenate(list(scores.values()))
        mean, deviation = float(everything.mean()), float(everything.std())
        cosine_mean, cosine_deviation = self._cosine_moments(vector)
        candidates: list[tuple[float, int, int, str]] = []
        wanted = max(FUSED, k)
        for place, (name, segment) in enumerate(self._segments.items()):
            kept = ~self._removed[name]
            (nearest,), _ = segment.nearest.search(vector[np.newaxis], wanted, self._removed[name])
            by_terms = np.flatnonzero((scores[name] > 0) & kept)
            by_terms = by_terms[np.argsort(-scores[name][by_terms], kind="stable")[:wanted]]
            rows = np.union1d(nearest[nearest >= 0], by_terms)
            cosines = np.round(segment.nearest.vectors(rows).astype(np.float64) @ vector.astype(np.float64), 6)
            fused = z_scores(cosines, cosine_mean, cosine_deviation)
            fused = fused + hybrid.weight * z_scores(scores[name][rows], mean, deviation)
            candidates += [(-float(score), place, int(row), name) for score, row in zip(fused, rows, strict=True)]
        return [self._hit(name, row, -score) for score, _, row, name in sorted(candidates)[:k]]

    def _lexical(self) -> LexicalRanker:
        if self._ranker is None:
            assert self.hybrid is not None
            try:
                for name in (NAMES, COUNTS):
                    check_digest(self.folder / TERMS, name, self._listed)
                self._ranker = load_ranker(
                    self.hybrid.name, self.encoder.preprocessor, self.folder / TERMS, self.hybrid.rest
                )
            except (OSError, ValueError, KeyError) as error:
                raise InputError(f"{self.folder}: damaged ({error}); build the index again") from error
        return self._ranker

    def _cosine_moments(self, vector: np.ndarray) -> tuple[float, float]:
        """The mean and the standard deviation of the cosines of a unit vector with all questions of the index."""
        count, mean, square = 0, 0.0, 0.0
        for segment in self._segments.values():
            moments = segment.moments
            count += len(segment)
            mean += float(moments[0] @ vector)
            square += float(vector @ moments[1:] @ vector)
        mean, square = mean / count, square / count
        return mean, max(square - mean * mean, 0.0) ** 0.5


def _term_sums(segment: Segment, terms: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The score of each question of a segment by its terms, [questions] float64."""
    scores = np.zeros(len(segment))
    columns = segment.terms
    if columns is None:
        return scores
    for term, weight in zip(terms.tolist(), weights.tolist(), strict=True):
        part = slice(columns.indptr[term], columns.indptr[term + 1])
        scores[columns.indices[part]] += weight * columns.data[part]
    return scores
