"""What an index holds at a moment: it never changes, so that a search sees all of a change or nothing of it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np

from askagain.errors import InputError
from askagain.models.bag_encoder import BagEncoder, unit_vectors
from askagain.models.lexical import LexicalRanker
from askagain.ranking.fusion import z_scores
from askagain.search.index_list import TERMS, IndexList, check_digest
from askagain.search.journal import Change
from askagain.search.lexical_terms import COUNTS, NAMES, load_ranker, question_terms
from askagain.search.questions import Question
from askagain.search.segment import Segment
from askagain.search.tail import Tail

FUSED = 100  # questions that each of two rankers suggests
TAIL = "tail"  # its name among the segments, of which it is the last

Part: TypeAlias = Segment | Tail


class Hit(NamedTuple):
    """A question of an index that answers a search.

    `text`: what is shown. `score`: the cosine, or what fused rankers give. `encoded`: what the encoder read.
    """

    id: str
    text: str
    score: float
    encoded: str


@dataclass(frozen=True, eq=False)
class Snapshot:
    """The questions of an index at a moment.

    `parts`: the segments by name, and the tail. `removed`: of each part, [questions] bool. `read`: bytes of the journal
    that are in the tail.
    """

    folder: Path
    listed: IndexList
    encoder: BagEncoder
    parts: dict[str, Part]
    removed: dict[str, np.ndarray]
    read: int = 0
    _rankers: list[LexicalRanker] = field(default_factory=list)

    def __len__(self) -> int:
        return sum(len(part) - int(self.removed[name].sum()) for name, part in self.parts.items())

    @property
    def tail(self) -> Tail:
        tail = self.parts[TAIL]
        assert isinstance(tail, Tail)
        return tail

    @property
    def segments(self) -> dict[str, Segment]:
        """The segments by name, without the tail."""
        return {name: part for name, part in self.parts.items() if isinstance(part, Segment)}

    def questions(self) -> Iterator[Question]:
        """All questions, in the order in which they were added."""
        for name, part in self.parts.items():
            for question, is_removed in zip(part.all_questions(), self.removed[name].tolist(), strict=True):
                if not is_removed:
                    yield question

    def rows_of(self, ids: Sequence[str]) -> dict[str, tuple[str, int]]:
        """The part and the row of those of the ids that are in the index."""
        rows = {}
        for name, part in self.parts.items():
            removed = self.removed[name]
            rows.update({one: (name, row) for one, row in part.rows_of(ids).items() if not removed[row]})
        return rows

    def changed(self, changes: Sequence[Change], read: int) -> "Snapshot":
        """What holds after changes of the journal, which was read up to byte `read`."""
        texts = [question.encoded for change in changes for question in change.add]
        vectors = unit_vectors(self.encoder.encode(texts)) if texts else np.zeros((0, self.encoder.dim), np.float32)
        parts, removed, tail, start = dict(self.parts), dict(self.removed), self.tail, 0
        latest = replace(self, parts=parts, removed=removed)
        copied: set[str] = set()
        for change in changes:
            new_ids = [question.id for question in change.add]
            for name, row in latest.rows_of([*change.remove, *new_ids]).values():
                if name not in copied:
                    removed[name] = removed[name].copy()
                    copied.add(name)
                removed[name][row] = True
            if new_ids:
                tail = tail.extended(change.add, vectors[start : start + len(new_ids)])
                start += len(new_ids)
                parts[TAIL] = tail
                removed[TAIL] = np.concatenate([removed[TAIL], np.zeros(len(new_ids), dtype=bool)])
                copied.add(TAIL)
        return replace(latest, read=read)

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
            (place, name, *part.nearest.search(vectors, k, self.removed[name]))
            for place, (name, part) in enumerate(self.parts.items())
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
        question_id, text, encoded = self.parts[name].question(row)
        return Hit(question_id, text, score, encoded)

    def _hybrid(self, question: str, vector: np.ndarray, k: int) -> list[Hit]:
        """The best questions by the sum of both rankers' z-scores over all questions of the index.

        Each ranker suggests its best ones; the mean and the deviation of the cosines come from the moments of all
        vectors, those of the other scores from the scores.
        """
        hybrid = self.listed.hybrid
        if hybrid is None:
            raise InputError(f"{self.folder}: built without --hybrid; build it again with --hybrid bm25")
        if not len(self):
            return []
        ranker = self.lexical()
        terms, weights = question_terms(ranker, question)
        scores = {name: _term_sums(part, ranker, terms, weights) for name, part in self.parts.items()}
        everything = np.concatenate(list(scores.values()))
        mean, deviation = float(everything.mean()), float(everything.std())
        cosine_mean, cosine_deviation = self._cosine_moments(vector)
        candidates: list[tuple[float, int, int, str]] = []
        wanted = max(FUSED, k)
        for place, (name, part) in enumerate(self.parts.items()):
            kept = ~self.removed[name]
            (nearest,), _ = part.nearest.search(vector[np.newaxis], wanted, self.removed[name])
            by_terms = np.flatnonzero((scores[name] > 0) & kept)
            by_terms = by_terms[np.argsort(-scores[name][by_terms], kind="stable")[:wanted]]
            rows = np.union1d(nearest[nearest >= 0], by_terms)
            cosines = np.round(part.nearest.vectors(rows).astype(np.float64) @ vector.astype(np.float64), 6)
            fused = z_scores(cosines, cosine_mean, cosine_deviation)
            fused = fused + hybrid.weight * z_scores(scores[name][rows], mean, deviation)
            candidates += [(-float(score), place, int(row), name) for score, row in zip(fused, rows, strict=True)]
        return [self._hit(name, row, -score) for score, _, row, name in sorted(candidates)[:k]]

    def lexical(self) -> LexicalRanker:
        """The ranker that the index was built with."""
        if not self._rankers:
            hybrid = self.listed.hybrid
            assert hybrid is not None
            try:
                for name in (NAMES, COUNTS):
                    check_digest(self.folder / TERMS, name, self.listed)
                self._rankers.append(
                    load_ranker(hybrid.name, self.encoder.preprocessor, self.folder / TERMS, hybrid.rest)
                )
            except (OSError, ValueError, KeyError) as error:
                raise InputError(f"{self.folder}: damaged ({error}); build the index again") from error
        return self._rankers[0]

    def _cosine_moments(self, vector: np.ndarray) -> tuple[float, float]:
        """The mean and the standard deviation of the cosines of a unit vector with all questions of the index."""
        count, mean, square = 0, 0.0, 0.0
        for part in self.parts.values():
            moments = part.moments
            count += len(part)
            mean += float(moments[0] @ vector)
            square += float(vector @ moments[1:] @ vector)
        mean, square = mean / count, square / count
        return mean, max(square - mean * mean, 0.0) ** 0.5


def _term_sums(part: Part, ranker: LexicalRanker, terms: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The score of each question of a part by its terms, [questions] float64."""
    scores = np.zeros(len(part))
    columns = part.terms_of(ranker)
    if columns is None:
        return scores
    for term, weight in zip(terms.tolist(), weights.tolist(), strict=True):
        column = slice(columns.indptr[term], columns.indptr[term + 1])
        scores[columns.indices[column]] += weight * columns.data[column]
    return scores
