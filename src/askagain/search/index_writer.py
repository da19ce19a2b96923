"""Makes an index, adds to it and removes from it, one writer at a time."""

import math
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import numpy as np

from askagain.errors import InputError
from askagain.files.writing import atomic_write
from askagain.models.bag_encoder import BagEncoder, unit_vectors
from askagain.models.lexical import LexicalRanker
from askagain.search.index import Index
from askagain.search.index_list import (
    ENCODER,
    LOCK,
    TERMS,
    Hybrid,
    IndexList,
    digest,
    fingerprint,
    is_index,
    write_list,
)
from askagain.search.journal import Change, append_changes, create_journal
from askagain.search.lexical_terms import COUNTS, NAMES, make_ranker, save_ranker, term_scores
from askagain.search.nearest import KINDS
from askagain.search.questions import Question, blocks
from askagain.search.segment import write_segment
from askagain.search.snapshot import TAIL, Snapshot

if TYPE_CHECKING:
    from filelock import FileLock

SEGMENT_ROWS = 1 << 20  # bounds the memory of building
FOLD_ROWS = 1 << 12  # of the journal, from which on it becomes a segment
MOST_ALIKE = 4  # segments that are joined; their sizes have the same logarithm to this base
REMOVED_SHARE = 0.2  # of a segment's rows, from which on it is written again without them
SECONDS = 60  # that a writer waits for another
JOINING_LOCK, JOINED = ".joining.lock", ".joined-"


class IdTakenError(InputError):
    """A question is to be added whose id is in the index."""

    def __init__(self, folder: Path, question_id: str) -> None:
        super().__init__(
            f"{folder}: the id {question_id} is in the index already; remove it first, or add with --replace"
        )
        self.question_id = question_id


class IdMissingError(InputError):
    """A question is to be removed whose id is not in the index."""

    def __init__(self, folder: Path, question_id: str) -> None:
        super().__init__(f"{folder}: the id {question_id} is not in the index; nothing was removed")
        self.question_id = question_id


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
            listed = IndexList(fingerprint(temporary / ENCODER), kind, [], 0, hybrid=hybrid)
            if hybrid is not None and ranker is not None:
                (temporary / TERMS).mkdir()
                listed = replace(listed, hybrid=replace(hybrid, rest=save_ranker(ranker, temporary / TERMS)))
                listed = replace(listed, digests={name: digest(temporary / TERMS / name) for name in (NAMES, COUNTS)})
            for block in blocks(_distinct(questions), segment_rows):
                listed = _with_segment(temporary, listed, encoder, block, ranker, embed, kind)
            write_list(temporary, listed)
            if replaces:  # no writer goes on with the index that is replaced
                after_replacing.callback(_locked(folder).release)
        return cls(folder)

    def add(self, questions: Iterable[Question], replaces: bool = False) -> int:
        """Adds many questions as a segment, and returns how many.

        Raises InputError where an id is in the index already, unless the new question `replaces` the earlier one.
        """
        new = list(_distinct(questions))
        with self._locked():
            self._fold()
            earlier = self.index.snapshot.rows_of([question.id for question in new])
            if earlier and not replaces:
                raise IdTakenError(self.folder, next(iter(earlier)))
            listed = self._with_removed(self.index.snapshot.listed, earlier.values())
            for block in blocks(new, SEGMENT_ROWS):
                listed = _with_segment(self.folder, listed, self.index.encoder, block, self._ranker())
            self._write(listed)
        self._join_segments()
        return len(new)

    def remove(self, ids: Sequence[str]) -> int:
        """Removes questions, and returns how many; raises InputError for an id that is not in the index."""
        wanted = list(dict.fromkeys(ids))
        with self._locked():
            self._fold()
            rows = self.index.snapshot.rows_of(wanted)
            missing = [one for one in wanted if one not in rows]
            if missing:
                raise IdMissingError(self.folder, missing[0])
            self._write(self._with_removed(self.index.snapshot.listed, rows.values()))
        self._join_segments()
        return len(rows)

    def append(self, changes: Sequence[Change]) -> list[InputError | None]:
        """Writes small changes to the journal; they are on the disk, and found, when this returns.

        A change that adds an id of the index without replacing it, or removes one that is not there, does not take
        place; its place in the result has the error.
        """
        errors: list[InputError | None] = []
        accepted = []
        with self._locked():
            known: dict[str, bool] = {}  # ids that the changes before have added or removed
            for change in changes:
                error = self._refusal(change, known)
                errors.append(error)
                if error is None:
                    accepted.append(change)
                    known |= dict.fromkeys(change.remove, False)
                    known |= {question.id: True for question in change.add}
            if accepted:
                append_changes(self._journal(), accepted)
                self.index.refresh()
        return errors

    @property
    def needs_upkeep(self) -> bool:
        """Whether searching would be faster after `upkeep`."""
        snapshot = self.index.snapshot
        return len(snapshot.tail) >= FOLD_ROWS or bool(_to_join(snapshot))

    def upkeep(self) -> None:
        """Makes the journal a segment where it has grown, and joins segments; others may write meanwhile."""
        with self._locked():
            if len(self.index.snapshot.tail) >= FOLD_ROWS:
                self._fold()
                self._remove_unnamed()
        self._join_segments()

    def _refusal(self, change: Change, known: dict[str, bool]) -> InputError | None:
        new_ids = [question.id for question in change.add]
        rows = self.index.snapshot.rows_of([*new_ids, *change.remove])
        missing = [one for one in change.remove if not known.get(one, one in rows)]
        if missing:
            return IdMissingError(self.folder, missing[0])
        if len(set(new_ids)) < len(new_ids):
            return InputError("two questions have the same id; give each its own")
        taken = [one for one in new_ids if known.get(one, one in rows)]
        return IdTakenError(self.folder, taken[0]) if taken and not change.replaces else None

    def _journal(self) -> Path:
        """The journal, which is made where there is none."""
        listed = self.index.snapshot.listed
        if listed.journal is None:
            listed = replace(listed, journal=f"journal-{listed.next}-{uuid4().hex[:8]}.jsonl", next=listed.next + 1)
            create_journal(self.folder / str(listed.journal))
            write_list(self.folder, listed)
            self.index.refresh()
        return self.folder / str(listed.journal)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        lock = _locked(self.folder)
        try:
            self.index.refresh()
            yield
        finally:
            lock.release()

    def _ranker(self) -> LexicalRanker | None:
        return None if self.index.hybrid is None else self.index.snapshot.lexical()

    def _with_removed(self, listed: IndexList, rows: Iterable[tuple[str, int]]) -> IndexList:
        """The list with further removed rows of segments."""
        snapshot = self.index.snapshot
        removed = {name: snapshot.removed[name].copy() for name in listed.segments}
        for name, row in rows:
            removed[name][row] = True
        return _with_removed(self.folder, listed, removed)

    def _write(self, listed: IndexList) -> None:
        """Makes a list the one that holds, and removes what nothing names any more."""
        write_list(self.folder, listed)
        self.index.refresh()
        self._remove_unnamed()

    def _fold(self) -> None:
        """Makes the questions of the journal a segment."""
        snapshot = self.index.snapshot
        if snapshot.listed.journal is None:
            return
        listed = _with_removed(self.folder, replace(snapshot.listed, journal=None), snapshot.removed)
        kept = np.flatnonzero(~snapshot.removed[TAIL])
        if len(kept):
            questions = [snapshot.tail.question(row) for row in kept.tolist()]
            vectors = snapshot.tail.vectors(kept)
            listed = _with_segment(self.folder, listed, snapshot.encoder, questions, self._ranker(), lambda _: vectors)
        write_list(self.folder, listed)
        self.index.refresh()

    def _join_segments(self) -> None:
        """Joins segments as long as there are some to join, unless another process does."""
        from filelock import FileLock, Timeout

        try:
            with FileLock(self.folder / JOINING_LOCK, timeout=0):
                for path in self.folder.glob(f"{JOINED}*"):
                    shutil.rmtree(path, ignore_errors=True)
                while names := _to_join(self.index.snapshot):
                    if not self._join(names):
                        return
        except Timeout:
            return

    def _join(self, names: list[str]) -> bool:
        """Writes segments again as one; false where another process has changed them meanwhile."""
        before = self.index.snapshot
        kept = {name: np.flatnonzero(~before.removed[name]) for name in names}
        every = {name: before.segments[name].all_questions() for name in names}
        questions = [every[name][row] for name in names for row in kept[name].tolist()]
        joined = self.folder / f"{JOINED}{uuid4().hex[:8]}"
        if questions:
            vectors = np.concatenate([before.segments[name].nearest.vectors(kept[name]) for name in names])
            ranker = self._ranker()
            terms = None if ranker is None else term_scores(ranker, [question.encoded for question in questions])
            write_segment(joined, questions, vectors, before.listed.encoder, _later_kind(before.listed), terms)
        with self._locked():
            now = self.index.snapshot
            if now.listed.encoder != before.listed.encoder or not set(names) <= set(now.listed.segments):
                shutil.rmtree(joined, ignore_errors=True)
                return False
            removed = {name: rows for name, rows in now.removed.items() if name not in names and name != TAIL}
            listed = replace(now.listed, segments=list(removed))
            if questions:
                name = f"segment-{listed.next:06}-{uuid4().hex[:8]}"
                joined.rename(self.folder / name)
                removed[name] = np.concatenate([now.removed[one][kept[one]] for one in names])
                listed = replace(listed, segments=list(removed), next=listed.next + 1)
            self._write(_with_removed(self.folder, listed, removed))
        return True

    def _remove_unnamed(self) -> None:
        listed = self.index.snapshot.listed
        named = {*listed.segments, listed.removed, listed.journal}
        for path in self.folder.iterdir():
            if path.name in named or not path.name.startswith(("segment-", "removed-", "journal-")):
                continue
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


def _to_join(snapshot: Snapshot) -> list[str]:
    """Segments to write again as one: many of about the same size, else one with many removed rows."""
    sizes: dict[int, list[str]] = {}
    for name, segment in snapshot.segments.items():
        sizes.setdefault(int(math.log(max(len(segment), 1), MOST_ALIKE)), []).append(name)
    for size in sorted(sizes):
        rows = sum(len(snapshot.segments[name]) for name in sizes[size])
        if len(sizes[size]) >= MOST_ALIKE and rows <= SEGMENT_ROWS:
            return sizes[size]
    removed = (name for name in snapshot.segments if snapshot.removed[name].mean() > REMOVED_SHARE)
    return list(islice(removed, 1))


def _with_removed(folder: Path, listed: IndexList, removed: Mapping[str, np.ndarray]) -> IndexList:
    """Writes the removed rows of all segments of a list, and returns the list that names them."""
    rows = [
        (place, row) for place, name in enumerate(listed.segments) for row in np.flatnonzero(removed[name]).tolist()
    ]
    digests = {name: digest for name, digest in listed.digests.items() if name != listed.removed}
    if not rows:
        return replace(listed, removed=None, digests=digests)
    name = f"removed-{listed.next}-{uuid4().hex[:8]}.npy"
    with atomic_write(folder / name, durable=True) as temporary, temporary.open("wb") as file:
        np.save(file, np.array(rows, dtype=np.int64))
    return replace(listed, removed=name, next=listed.next + 1, digests=digests | {name: digest(folder / name)})


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


def _with_segment(
    folder: Path,
    listed: IndexList,
    encoder: BagEncoder,
    questions: Sequence[Question],
    ranker: LexicalRanker | None,
    embed: Callable[[Sequence[str]], np.ndarray] | None = None,
    kind: str | None = None,
) -> IndexList:
    """Writes a segment, of the kind of the index or of another one, and returns the list that names it."""
    kind = kind or _later_kind(listed)
    texts = [question.encoded for question in questions]
    vectors = unit_vectors(encoder.encode(texts, show_progress=True) if embed is None else embed(texts))
    terms = None if ranker is None else term_scores(ranker, texts)
    name = f"segment-{listed.next:06}-{uuid4().hex[:8]}"  # another index in the same place has other names
    write_segment(folder / name, questions, vectors, listed.encoder, kind, terms)
    return replace(listed, segments=[*listed.segments, name], next=listed.next + 1)


def _later_kind(listed: IndexList) -> str:
    """The kind of segments that are added to an index; what is added may repeat vectors."""
    return "auto" if listed.kind == "hnsw" else listed.kind
