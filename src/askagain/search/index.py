"""An index of questions as a folder: the encoder, segments that never change, and a list of what holds now.

`index.json` is the list. Adding writes a new segment and then a new list; removing writes the removed rows and then a
new list. The list is replaced in one step, so that readers see all of a change or nothing of it, and those that have
the earlier list go on with its files, which stay open.
"""

import hashlib
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import uuid4

import numpy as np

from askagain.errors import InputError
from askagain.files.arrays import load_array
from askagain.files.checksums import CHECKSUMS
from askagain.files.json_files import read_sealed_json, write_sealed_json
from askagain.files.writing import atomic_write
from askagain.models.bag_encoder import BagEncoder, unit_vectors
from askagain.models.folder import load_encoder
from askagain.models.lexical import LexicalRanker
from askagain.ranking.fusion import z_scores
from askagain.search.lexical_terms import (
    COUNTS,
    NAMES,
    load_ranker,
    make_ranker,
    question_terms,
    save_ranker,
    term_scores,
)
from askagain.search.nearest import KINDS
from askagain.search.questions import Question, blocks
from askagain.search.segment import Segment, write_segment

if TYPE_CHECKING:
    from filelock import FileLock

FORMAT = 1
LIST, ENCODER, TERMS, LOCK = "index.json", "encoder", "terms", ".lock"
SEGMENT_ROWS = 1 << 20  # bounds the memory of building
MOST_SMALL, SMALL_ROWS = 8, 1 << 16  # segments of fewer rows are joined when there are more of them
REMOVED_SHARE = 0.2  # of a segment's rows, from which on it is written again without them
FUSED = 100  # questions that each of two rankers suggests
ATTEMPTS = 5  # to open an index that is being changed
SECONDS = 60  # that a writer waits for another


@dataclass(frozen=True)
class Hybrid:
    """A ranker that counts terms, beside the encoder. `weight`: of its z-scores; `rest`: see `save_ranker`."""

    name: str
    weight: float
    rest: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class _List:
    """The content of `index.json`.

    `removed`: a file of [n, 2] int64, segment and row of each removed question. `digests`: of that file and of those of
    the terms, by name.
    """

    encoder: str
    kind: str
    segments: list[str]
    next: int
    removed: str | None = None
    hybrid: Hybrid | None = None
    digests: dict[str, str] = field(default_factory=dict)


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
            listed = _read_list(self.folder)
            try:
                if listed.encoder != self._fingerprint:
                    self._load_encoder(listed)
                self._open(listed)
                return
            except InputError:
                if attempt == ATTEMPTS - 1 or _read_list(self.folder) == listed:
                    raise  # no writer has replaced the files meanwhile

    def _load_encoder(self, listed: _List) -> None:
        if fingerprint(self.folder / ENCODER) != listed.encoder:
            raise InputError(f"{self.folder}: the encoder in it is not the one that made it; build the index again")
        self.encoder: BagEncoder = load_encoder(self.folder / ENCODER, memory_map=True)
        self._fingerprint = listed.encoder

    def _open(self, listed: _List) -> None:
        opened = {
            name: self._segments.get(name) or Segment(self.folder / name, self._fingerprint) for name in listed.segments
        }
        removed = {name: np.zeros(len(segment), dtype=bool) for name, segment in opened.items()}
        try:
            rows = np.zeros((0, 2), dtype=np.int64)
            if listed.removed is not None:
                _check_digest(self.folder, listed.removed, listed)
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
                    _check_digest(self.folder / TERMS, name, self._listed)
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


class IndexWriter:
    """Makes and changes an index; one writer at a time, others wait.

    Args:
        folder: of an index.

    Raises:
        InputError: There is no index, or it is damaged.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.index = Index(folder)

    @classmethod
    def create(
        cls,
        folder: str | Path,
        encoder: BagEncoder,
        questions: Iterable[Question],
        kind: str = "auto",
        hybrid: Hybrid | None = None,
        beside: Sequence[Path] = (),
        embed: "Callable[[Sequence[str]], np.ndarray] | None" = None,
        segment_rows: int = SEGMENT_ROWS,
    ) -> "IndexWriter":
        """A new index; the folder appears whole or not at all, and replaces an earlier one in one step.

        Args:
            folder: to write.
            encoder: Its vectors are compared; it is kept in the folder.
            questions: With different ids.
            kind: See `askagain.search.nearest`.
            hybrid: A ranker that counts terms, fitted here to all questions (None: none).
            beside: Files that are kept beside the encoder's, such as its thresholds.
            embed: Gives the vectors of texts in place of the encoder, from other machines for example.
            segment_rows: Questions in a segment; bounds the memory.

        Raises:
            InputError: Another kind, two questions with one id, or a folder that holds something else than an index.
        """
        if kind not in KINDS:
            raise InputError(f"kind={kind}: not one of {', '.join(KINDS)}")
        folder = Path(folder)
        replaces = is_index(folder)
        if folder.is_dir() and any(folder.iterdir()) and not replaces:
            raise InputError(f"{folder}: holds something else than an index; name another folder")
        ranker = None
        if hybrid is not None:
            questions = list(questions)
            ranker = make_ranker(hybrid.name, encoder.preprocessor)
            ranker.fit([question.encoded for question in questions])
        with ExitStack() as after_replacing, atomic_write(folder) as temporary:
            temporary.mkdir()
            encoder.save(temporary / ENCODER)
            for path in beside:
                shutil.copyfile(path, temporary / ENCODER / path.name)
            listed = _List(fingerprint(temporary / ENCODER), kind, [], 0, hybrid=hybrid)
            if hybrid is not None and ranker is not None:
                (temporary / TERMS).mkdir()
                listed = replace(listed, hybrid=replace(hybrid, rest=save_ranker(ranker, temporary / TERMS)))
                listed = replace(listed, digests={name: _digest(temporary / TERMS / name) for name in (NAMES, COUNTS)})
            for block in blocks(_distinct(questions), segment_rows):
                listed = _with_segment(temporary, listed, encoder, block, ranker, embed, kind)
            _write_list(temporary, listed)
            if replaces:  # no writer goes on with the index that is replaced
                after_replacing.callback(_locked(folder).release)
        return cls(folder)

    def add(self, questions: Iterable[Question], replaces: bool = False) -> int:
        """Adds questions, and returns how many.

        Raises InputError where an id is in the index already, unless the new question `replaces` the earlier one.
        """
        new = list(_distinct(questions))
        with self._locked():
            earlier = self._rows_of([question.id for question in new])
            if earlier and not replaces:
                raise InputError(
                    f"{self.folder}: the id {next(iter(earlier))} is in the index already; remove it first, or add "
                    "with --replace"
                )
            listed = self._without(list(earlier.values()))
            for block in blocks(new, SEGMENT_ROWS):
                listed = _with_segment(self.folder, listed, self.index.encoder, block, self._ranker())
            self._write(listed)
        return len(new)

    def remove(self, ids: Sequence[str]) -> int:
        """Removes questions, and returns how many; raises InputError for an id that is not in the index."""
        wanted = list(dict.fromkeys(ids))
        with self._locked():
            rows = self._rows_of(wanted)
            missing = [one for one in wanted if one not in rows]
            if missing:
                raise InputError(f"{self.folder}: the id {missing[0]} is not in the index; nothing was removed")
            self._write(self._without(list(rows.values())))
        return len(rows)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        lock = _locked(self.folder)
        try:
            self.index.refresh()
            yield
        finally:
            lock.release()

    def _ranker(self) -> LexicalRanker | None:
        return None if self.index.hybrid is None else self.index._lexical()

    def _rows_of(self, ids: Sequence[str]) -> dict[str, tuple[int, int]]:
        """The segment and row of those ids that are in the index."""
        import polars as pl

        wanted = pl.Series(ids, dtype=pl.String)
        rows: dict[str, tuple[int, int]] = {}
        for place, (name, segment) in enumerate(self.index._segments.items()):
            for row in segment.ids.is_in(wanted.implode()).arg_true().to_list():
                if not self.index._removed[name][row]:
                    rows[segment.ids[row]] = (place, row)
        return rows

    def _without(self, rows: Sequence[tuple[int, int]]) -> _List:
        """The list with further removed rows."""
        listed = self.index._listed
        if not rows:
            return listed
        removed = [
            (place, int(row))
            for place, name in enumerate(listed.segments)
            for row in np.flatnonzero(self.index._removed[name])
        ]
        return self._with_removed(listed, sorted([*removed, *rows]))

    def _with_removed(self, listed: _List, rows: Sequence[tuple[int, int]]) -> _List:
        """Writes the removed rows, and returns the list that names them."""
        digests = {name: digest for name, digest in listed.digests.items() if name != listed.removed}
        if not rows:
            return replace(listed, removed=None, digests=digests)
        name = f"removed-{listed.next}-{uuid4().hex[:8]}.npy"
        with atomic_write(self.folder / name) as temporary, temporary.open("wb") as file:
            np.save(file, np.array(rows, dtype=np.int64))
        return replace(
            listed, removed=name, next=listed.next + 1, digests=digests | {name: _digest(self.folder / name)}
        )

    def _write(self, listed: _List) -> None:
        """Makes a list the one that holds, joins small segments, and removes what nothing names any more."""
        _write_list(self.folder, listed)
        self.index.refresh()
        again = self._to_join()
        if again:
            self._join(again)
        self._remove_unnamed()

    def _to_join(self) -> list[str]:
        """Segments to write again as one: many small ones, and those with many removed rows."""
        names = list(self.index._segments)
        holey = [name for name in names if self.index._removed[name].mean() > REMOVED_SHARE]
        small = [name for name in names if len(self.index._segments[name]) < SMALL_ROWS]
        joined = [name for name in names if name in holey or (len(small) > MOST_SMALL and name in small)]
        total = sum(len(self.index._segments[name]) for name in joined)
        return joined if total <= SEGMENT_ROWS else holey[:1]

    def _join(self, names: list[str]) -> None:
        index, listed = self.index, self.index._listed
        questions: list[Question] = []
        vectors = []
        for name in names:
            segment, kept = index._segments[name], np.flatnonzero(~index._removed[name])
            every = segment.all_questions()
            questions += [every[row] for row in kept.tolist()]
            vectors.append(segment.nearest.vectors(kept))
        remaining = [name for name in listed.segments if name not in names]
        removed = [
            (place, int(row)) for place, name in enumerate(remaining) for row in np.flatnonzero(index._removed[name])
        ]
        listed = self._with_removed(replace(listed, segments=remaining), removed)
        if questions:
            known = np.concatenate(vectors)
            listed = _with_segment(self.folder, listed, index.encoder, questions, self._ranker(), lambda _: known)
        _write_list(self.folder, listed)
        index.refresh()

    def _remove_unnamed(self) -> None:
        listed = self.index._listed
        for path in self.folder.iterdir():
            if path.name.startswith("segment-") and path.name not in listed.segments:
                shutil.rmtree(path, ignore_errors=True)
            elif path.name.startswith("removed-") and path.name != listed.removed:
                path.unlink(missing_ok=True)


def fingerprint(folder: Path) -> str:
    """A digest of a saved encoder, which tells its vectors from those of others."""
    try:
        return hashlib.sha256((folder / CHECKSUMS).read_bytes()).hexdigest()
    except OSError as error:
        raise InputError(f"{folder}: no encoder with checksums here; save it again") from error


def is_index(folder: Path) -> bool:
    """Whether a folder is an index, and holds nothing else."""
    own = (LIST, ENCODER, TERMS, LOCK)
    return (folder / LIST).is_file() and all(
        path.name in own or path.name.startswith(("segment-", "removed-", ".")) for path in folder.iterdir()
    )


def _locked(folder: Path) -> "FileLock":
    """The lock of an index that is there, held; raises InputError where another process keeps it."""
    from filelock import FileLock, Timeout

    deadline = time.monotonic() + SECONDS
    try:
        while True:
            lock = FileLock(folder / LOCK, timeout=max(0.0, deadline - time.monotonic()))
            lock.acquire()
            # The folder may have been replaced while this process waited; then its lock is another file.
            probe = FileLock(folder / LOCK, timeout=0)
            try:
                probe.acquire()
            except Timeout:
                return lock
            probe.release()
            lock.release()
    except Timeout as error:
        raise InputError(f"{folder}: another process has been writing to it for {SECONDS} s; wait") from error


def _distinct(questions: Iterable[Question]) -> Iterator[Question]:
    """The questions; raises InputError where two have one id."""
    seen: set[str] = set()
    for question in questions:
        if question.id in seen:
            raise InputError(f"two questions have the id {question.id}; give each its own")
        seen.add(question.id)
        yield question


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check_digest(folder: Path, name: str, listed: _List) -> None:
    """Raises ValueError where a file is not what was written."""
    if _digest(folder / name) != listed.digests.get(name):
        raise ValueError(f"{name} is not what was written")


def _with_segment(
    folder: Path,
    listed: _List,
    encoder: BagEncoder,
    questions: Sequence[Question],
    ranker: LexicalRanker | None,
    embed: Callable[[Sequence[str]], np.ndarray] | None = None,
    kind: str | None = None,
) -> _List:
    """Writes a segment, of the kind of the index or of another one, and returns the list that names it."""
    kind = kind or ("auto" if listed.kind == "hnsw" else listed.kind)  # what is added may repeat vectors
    texts = [question.encoded for question in questions]
    vectors = unit_vectors(encoder.encode(texts, show_progress=True) if embed is None else embed(texts))
    terms = None if ranker is None else term_scores(ranker, texts)
    name = f"segment-{listed.next:06}-{uuid4().hex[:8]}"  # another index in the same place has other names
    write_segment(folder / name, questions, vectors, listed.encoder, kind, terms)
    return replace(listed, segments=[*listed.segments, name], next=listed.next + 1)


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


def _read_list(folder: Path) -> _List:
    try:
        content = read_sealed_json(folder / LIST)
        if content.pop("format") != FORMAT:
            raise ValueError("it has another format than this version reads")
        hybrid = content.pop("hybrid")
        return _List(**content, hybrid=None if hybrid is None else Hybrid(**hybrid))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{folder}: {LIST} is damaged ({error}); build the index again") from error


def _write_list(folder: Path, listed: _List) -> None:
    write_sealed_json(folder / LIST, {"format": FORMAT, **asdict(listed)})
