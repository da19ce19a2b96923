"""Makes an index, adds to it and removes from it, one writer at a time."""

import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
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
from askagain.search.lexical_terms import COUNTS, NAMES, make_ranker, save_ranker, term_scores
from askagain.search.nearest import KINDS
from askagain.search.questions import Question, blocks
from askagain.search.segment import write_segment

if TYPE_CHECKING:
    from filelock import FileLock

SEGMENT_ROWS = 1 << 20  # bounds the memory of building
MOST_SMALL, SMALL_ROWS = 8, 1 << 16  # segments of fewer rows are joined when there are more of them
REMOVED_SHARE = 0.2  # of a segment's rows, from which on it is written again without them
SECONDS = 60  # that a writer waits for another


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

    def _without(self, rows: Sequence[tuple[int, int]]) -> IndexList:
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

    def _with_removed(self, listed: IndexList, rows: Sequence[tuple[int, int]]) -> IndexList:
        """Writes the removed rows, and returns the list that names them."""
        digests = {name: digest for name, digest in listed.digests.items() if name != listed.removed}
        if not rows:
            return replace(listed, removed=None, digests=digests)
        name = f"removed-{listed.next}-{uuid4().hex[:8]}.npy"
        with atomic_write(self.folder / name) as temporary, temporary.open("wb") as file:
            np.save(file, np.array(rows, dtype=np.int64))
        return replace(listed, removed=name, next=listed.next + 1, digests=digests | {name: digest(self.folder / name)})

    def _write(self, listed: IndexList) -> None:
        """Makes a list the one that holds, joins small segments, and removes what nothing names any more."""
        write_list(self.folder, listed)
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
        write_list(self.folder, listed)
        index.refresh()

    def _remove_unnamed(self) -> None:
        listed = self.index._listed
        for path in self.folder.iterdir():
            if path.name.startswith("segment-") and path.name not in listed.segments:
                shutil.rmtree(path, ignore_errors=True)
            elif path.name.startswith("removed-") and path.name != listed.removed:
                path.unlink(missing_ok=True)


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
    kind = kind or ("auto" if listed.kind == "hnsw" else listed.kind)  # what is added may repeat vectors
    texts = [question.encoded for question in questions]
    vectors = unit_vectors(encoder.encode(texts, show_progress=True) if embed is None else embed(texts))
    terms = None if ranker is None else term_scores(ranker, texts)
    name = f"segment-{listed.next:06}-{uuid4().hex[:8]}"  # another index in the same place has other names
    write_segment(folder / name, questions, vectors, listed.encoder, kind, terms)
    return replace(listed, segments=[*listed.segments, name], next=listed.next + 1)
