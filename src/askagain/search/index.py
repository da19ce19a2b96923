"""An index of questions as a folder: the encoder, segments that never change, a journal, and a list of what holds now.

`index.json` is the list. Adding many questions writes a new segment and then a new list; the list is replaced in one
step. Adding few appends them to the journal, which becomes a segment when it has grown. Readers see all of a change or
nothing of it, and those that have the earlier list go on with its files, which stay open.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from askagain.errors import InputError
from askagain.files.arrays import load_array
from askagain.models.bag_encoder import BagEncoder
from askagain.models.folder import load_encoder
from askagain.search.index_list import ENCODER, LIST, Hybrid, IndexList, check_digest, fingerprint, read_list
from askagain.search.journal import read_changes
from askagain.search.questions import Question
from askagain.search.segment import Segment
from askagain.search.snapshot import TAIL, Hit, Part, Snapshot
from askagain.search.tail import Tail

__all__ = ["Hit", "Index"]

ATTEMPTS = 100  # to open an index that is being changed; each follows a writer's progress


class Index:
    """Questions that can be searched, as they were when the folder was opened or last refreshed.

    Several threads may use it. `snapshot`: what it holds now.

    Args:
        folder: of the index.

    Raises:
        InputError: There is no index, or it is damaged.
    """

    snapshot: Snapshot

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        if not (self.folder / LIST).is_file():
            raise InputError(f"{folder}: no index here; make one with askagain index")
        self._refreshing = Lock()
        self._seen: tuple[int, ...] = ()
        self.refresh()

    def refresh(self) -> bool:
        """Reads what has changed since, also where another index was put into the place of this one; tells whether."""
        with self._refreshing:
            for attempt in range(ATTEMPTS):
                seen = self._list_seen()
                is_new = seen != self._seen
                listed = read_list(self.folder) if is_new else self.snapshot.listed
                try:
                    if is_new:
                        self.snapshot = self._read_journal(self._opened(listed))
                        self._seen = seen
                        return True
                    earlier, self.snapshot = self.snapshot, self._read_journal(self.snapshot)
                    return self.snapshot is not earlier
                except (InputError, FileNotFoundError) as error:
                    if attempt < ATTEMPTS - 1 and read_list(self.folder) != listed:
                        continue  # a writer has replaced the files meanwhile
                    if isinstance(error, InputError):
                        raise
                    raise InputError(f"{self.folder}: damaged ({error}); build the index again") from error
        raise AssertionError("the last attempt returns or raises")

    def _list_seen(self) -> tuple[int, ...]:
        """What tells one list from the next without reading it."""
        try:
            status = (self.folder / LIST).stat()
        except OSError as error:
            raise InputError(f"{self.folder}: the index is gone ({error.strerror})") from error
        return status.st_mtime_ns, status.st_ino, status.st_size

    def _opened(self, listed: IndexList) -> Snapshot:
        """What the segments of a list hold, without the journal."""
        earlier = getattr(self, "snapshot", None)
        known: dict[str, Segment] = {}
        if earlier is not None and listed.encoder == earlier.listed.encoder:
            encoder, known = earlier.encoder, earlier.segments
        elif fingerprint(self.folder / ENCODER) != listed.encoder:
            raise InputError(f"{self.folder}: the encoder in it is not the one that made it; build the index again")
        else:
            encoder = load_encoder(self.folder / ENCODER, memory_map=True)
        parts: dict[str, Part] = {
            name: known.get(name) or Segment(self.folder / name, listed.encoder) for name in listed.segments
        }
        removed = {name: np.zeros(len(part), dtype=bool) for name, part in parts.items()}
        try:
            rows = np.zeros((0, 2), dtype=np.int64)
            if listed.removed is not None:
                check_digest(self.folder, listed.removed, listed)
                rows = load_array(self.folder / listed.removed)
            for place, name in enumerate(listed.segments):
                removed[name][rows[rows[:, 0] == place, 1]] = True
        except (OSError, ValueError, IndexError) as error:
            raise InputError(f"{self.folder}: damaged ({error}); build the index again") from error
        parts[TAIL], removed[TAIL] = Tail(encoder.dim), np.zeros(0, dtype=bool)
        return Snapshot(self.folder, listed, encoder, parts, removed)

    def _read_journal(self, snapshot: Snapshot) -> Snapshot:
        """A snapshot with what the journal has had since; the same one if there is nothing."""
        if snapshot.listed.journal is None:
            return snapshot
        path = self.folder / snapshot.listed.journal
        if path.stat().st_size == snapshot.read:
            return snapshot
        changes, end = read_changes(path, snapshot.read)
        return snapshot.changed(changes, end) if changes else snapshot

    @property
    def encoder(self) -> BagEncoder:
        """What gives a question its vector."""
        return self.snapshot.encoder

    def __len__(self) -> int:
        return len(self.snapshot)

    @property
    def hybrid(self) -> Hybrid | None:
        """The ranker beside the encoder, if it was built with one."""
        return self.snapshot.listed.hybrid

    def questions(self) -> Iterator[Question]:
        """All questions, in the order in which they were added."""
        return self.snapshot.questions()

    def search(self, questions: Sequence[str], k: int = 10, hybrid: bool = False) -> list[list[Hit]]:
        """See `Snapshot.search`."""
        return self.snapshot.search(questions, k, hybrid)

    def info(self) -> dict[str, Any]:
        """What is in the index, by name."""
        snapshot = self.snapshot
        segments = snapshot.segments.values()
        found = [segment.nearest.approximation for segment in segments]
        recalls = [approximation.recall for approximation in found if approximation is not None]
        size = sum(path.stat().st_size for path in self.folder.rglob("*") if path.is_file())
        return {
            "questions": len(snapshot),
            "removed": sum(int(rows.sum()) for rows in snapshot.removed.values()),
            "segments": len(segments),
            "in the journal": len(snapshot.tail),
            "kind": ", ".join(dict.fromkeys("flat" if one is None else one.kind for one in found)) or "flat",
            "recall@10": min(recalls, default=1.0),
            "dim": self.encoder.dim,
            "encoder": f"{len(self.encoder.features.vocabulary):,} words, {self.encoder.table.dtype}",
            "hybrid": "none" if self.hybrid is None else f"{self.hybrid.name}, weight {self.hybrid.weight:g}",
            "MB": round(size / 1e6, 1),
        }
