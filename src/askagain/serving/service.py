"""What the server does with an index, apart from HTTP."""

import base64
import errno
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import numpy as np

from askagain.errors import DISK_FULL, InputError
from askagain.evaluation.thresholds import Thresholds
from askagain.search.answers import WordShares, because, hit_records
from askagain.search.index import Index
from askagain.search.index_list import ENCODER
from askagain.search.index_writer import IndexWriter
from askagain.search.journal import Change
from askagain.search.questions import Question
from askagain.search.snapshot import Hit, Snapshot
from askagain.serving.errors import ApiError, json_bytes
from askagain.serving.messages import DuplicatesRequest, EmbeddingsRequest, NewQuestion, SearchRequest
from askagain.text.fields import Fields

WHITE_SPACE = re.compile(r"\s+")
NOT_ALLOWED = (errno.EACCES, errno.EPERM, errno.EROFS)
TEXTS_AT_A_TIME = 64  # between which other threads have their turn


class Search(NamedTuple):
    """A search of an index, which several can be done together of."""

    served: "ServedIndex"
    request: SearchRequest


class ServedIndex:
    """An index by the name that clients call it.

    Args:
        name: of the index.
        folder: of the index.
        is_writable: Whether questions may be added and removed.
    """

    def __init__(self, name: str, folder: Path, is_writable: bool) -> None:
        self.name, self.folder = name, folder
        self.writer = IndexWriter(folder) if is_writable else None
        self.index = Index(folder) if self.writer is None else self.writer.index
        self._learned()

    def _learned(self) -> None:
        self._encoder = self.index.encoder
        self.thresholds = Thresholds.load(self.folder / ENCODER)
        self._word_shares = WordShares(self._encoder)

    def refresh(self) -> bool:
        """Reads what has changed on the disk since; tells whether something has."""
        is_changed = self.index.refresh()
        if self.index.encoder is not self._encoder:
            self._learned()
        return is_changed

    @property
    def snapshot(self) -> Snapshot:
        """What the index holds now."""
        return self.index.snapshot

    def info(self) -> dict[str, Any]:
        """See `IndexInfo`."""
        hybrid, encoder, thresholds = self.index.hybrid, self.index.encoder, self.thresholds
        return {
            "name": self.name,
            "questions": len(self.index),
            "dim": encoder.dim,
            "encoder": f"{len(encoder.features.vocabulary):,} words, {encoder.table.dtype}",
            "hybrid": "none" if hybrid is None else hybrid.name,
            "probabilities": thresholds is not None,
            "threshold": None if thresholds is None else thresholds.threshold,
            "writable": self.writer is not None,
        }

    def check(self, request: SearchRequest) -> None:
        """Raises InputError for a search that the index cannot do."""
        if request.hybrid and self.index.hybrid is None:
            raise InputError(f"hybrid: the index {self.name} was built without a second ranker")

    def answers(self, requests: Sequence[SearchRequest], found: Sequence[Sequence[Hit]]) -> list[dict[str, Any]]:
        """A `SearchAnswer` for each search and its hits."""
        answers: list[dict[str, Any]] = []
        for request, hits in zip(requests, found, strict=True):
            records = hit_records(hits, None if request.hybrid else self.thresholds)
            if request.explain:
                for record, parts in zip(records, because(self._encoder, request.question, hits), strict=True):
                    record["because"] = parts
            answers.append({"question": request.question, "index": self.name, "hits": records})
        marked = [place for place, request in enumerate(requests) if request.words]
        if marked:
            vectors = self._encoder.encode([requests[place].question for place in marked], normalize=True)
            shares = self._word_shares(vectors, [found[place] for place in marked])
            for place, texts in zip(marked, shares, strict=True):
                for record, pieces in zip(answers[place]["hits"], texts, strict=True):
                    record["words"] = pieces
        return answers

    def duplicates(self, request: DuplicatesRequest) -> bytes:
        """A `DuplicatesAnswer` as JSON; raises InputError where no threshold was given or learned."""
        threshold, thresholds = request.threshold, self.thresholds
        if threshold is None:
            if thresholds is None:
                raise InputError("threshold: the index has learned none; give one")
            threshold = thresholds.threshold
        snapshot, questions, results = self.snapshot, request.questions, []
        vectors = snapshot.encoder.encode(questions, normalize=True)
        for start in range(0, len(questions), TEXTS_AT_A_TIME):
            block = questions[start : start + TEXTS_AT_A_TIME]
            cosines = vectors[start : start + len(block)] @ vectors.T
            for place, hits in enumerate(snapshot.search(block, request.k)):
                cosines[place, start + place] = -1
                others = np.flatnonzero(cosines[place] >= threshold)
                others = others[np.argsort(-cosines[place, others], kind="stable")][: request.k]
                results.append(
                    {
                        "question": block[place],
                        "duplicates": hit_records([hit for hit in hits if hit.score >= threshold], thresholds),
                        "same_batch": [
                            {"position": other, "score": round(float(cosines[place, other]), 4)}
                            for other in others.tolist()
                        ],
                    }
                )
        return json_bytes({"threshold": threshold, "index": self.name, "results": results})

    def embeddings(self, request: EmbeddingsRequest) -> bytes:
        """An `EmbeddingsAnswer` as JSON; raises InputError for more dimensions than there are."""
        encoder = self.index.encoder
        texts = request.input
        if request.dimensions is not None and request.dimensions > encoder.dim:
            raise InputError(f"dimensions: must be at most {encoder.dim}, the length of the encoder's vectors")
        tokens, data = 0, []
        for start in range(0, len(texts), TEXTS_AT_A_TIME):
            block = texts[start : start + TEXTS_AT_A_TIME]
            vectors = encoder.encode(block, normalize=True, dim=request.dimensions)
            tokens += int(encoder.tokenize(block).lengths.sum())
            for place, vector in enumerate(vectors, start=start):
                embedding = _base64(vector) if request.encoding_format == "base64" else vector
                data.append({"object": "embedding", "index": place, "embedding": embedding})
        usage = {"prompt_tokens": tokens, "total_tokens": tokens}
        return json_bytes({"object": "list", "data": data, "model": self.name, "usage": usage})

    def question(self, new: NewQuestion) -> Question:
        """A question as it is kept; raises InputError for no text, and for fields that the encoder does not read."""
        fields: Fields | None = self.index.encoder.preprocessor.fields
        own_id = new.id or uuid4().hex
        if isinstance(new.text, str):
            text = WHITE_SPACE.sub(" ", new.text).strip()
            encoded = text if fields is None else fields.compose({fields.names[0]: text})
        else:
            if fields is None or not set(new.text) <= set(fields.names):
                names = "one text only" if fields is None else f"the fields {', '.join(fields.names)}"
                raise InputError(f"text: the encoder reads {names}")
            text = WHITE_SPACE.sub(" ", str(new.text.get(fields.names[0]) or "")).strip()
            encoded = fields.compose(new.text)
        if not text and not encoded:
            raise InputError("text: must not be empty")
        return Question(own_id, text or encoded, encoded)


def search_together(searches: Sequence[Search]) -> list[dict[str, Any] | BaseException]:
    """The answers of searches; those with the same settings are found together."""
    answers: list[Any] = [None] * len(searches)
    alike: dict[tuple[int, int, bool], list[int]] = {}
    for place, (served, request) in enumerate(searches):
        alike.setdefault((id(served), request.k, request.hybrid), []).append(place)
    for places in alike.values():
        served, request = searches[places[0]]
        try:
            requests = [searches[place].request for place in places]
            found = served.snapshot.search([one.question for one in requests], request.k, request.hybrid)
            for place, answer in zip(places, served.answers(requests, found), strict=True):
                answers[place] = answer
        except Exception as error:
            for place in places:
                answers[place] = error
    return answers


class Write(NamedTuple):
    """A change of an index, of which several can be written together."""

    served: ServedIndex
    change: Change


def write_together(writes: Sequence[Write]) -> list[BaseException | None]:
    """Writes changes; those of an index reach the disk together. Gives the error of each that was refused."""
    errors: list[BaseException | None] = [None] * len(writes)
    by_index: dict[int, list[int]] = {}
    for place, write in enumerate(writes):
        by_index.setdefault(id(write.served), []).append(place)
    for places in by_index.values():
        writer = writes[places[0]].served.writer
        assert writer is not None
        refused: Sequence[BaseException | None]
        try:
            refused = writer.append([writes[place].change for place in places])
        except Exception as error:
            refused = [_not_written(error)] * len(places)
        for place, one in zip(places, refused, strict=True):
            errors[place] = one
    return errors


def _not_written(error: Exception) -> Exception:
    """What a client is told of changes that could not be written, none of which holds."""
    if isinstance(error, OSError) and error.errno in DISK_FULL:
        return ApiError(507, "the disk is full; nothing was changed")
    if isinstance(error, OSError) and error.errno in NOT_ALLOWED:
        return ApiError(503, "the server may not write to the folder of the index; give it to the server's user")
    if isinstance(error, InputError):
        return ApiError(503, f"the index cannot be written now: {error}", {"retry-after": "5"})
    return error


def _base64(vector: np.ndarray) -> str:
    return base64.b64encode(vector.astype("<f4").tobytes()).decode("ascii")
