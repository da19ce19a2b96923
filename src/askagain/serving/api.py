"""The operations of the API."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response

from askagain.errors import InputError
from askagain.search.index_writer import IdMissingError, IdTakenError
from askagain.search.journal import Change
from askagain.serving.batching import Batcher
from askagain.serving.errors import JSON, ApiError, json_response
from askagain.serving.limits import Limits
from askagain.serving.messages import (
    AddAnswer,
    AddRequest,
    DuplicatesAnswer,
    DuplicatesRequest,
    EmbeddingsAnswer,
    EmbeddingsRequest,
    Health,
    Indexes,
    Models,
    RemoveAnswer,
    SearchAnswer,
    SearchRequest,
)
from askagain.serving.metrics import ServerMetrics
from askagain.serving.operations import Operation, Parameter
from askagain.serving.service import Search, ServedIndex, Write, search_together, write_together

PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"
FLAGS = {"1": True, "true": True, "0": False, "false": False, "": False}
ID_OF_PATH = Parameter("id", "path", "The question's own id.", is_required=True)
INDEX_OF_QUERY = Parameter("index", "query", "The name of an index; the first one if there are several.")

Answer = TypeVar("Answer")


class Api:
    """Answers requests from indexes.

    Args:
        indexes: The first one is used where a request names none.
        limits: of what waits.
        metrics: that are counted.
    """

    def __init__(self, indexes: Sequence[ServedIndex], limits: Limits, metrics: ServerMetrics) -> None:
        self.indexes = {index.name: index for index in indexes}
        self._first = indexes[0]
        self._metrics = metrics
        self.is_ending = False
        self._searches: Batcher[Search, dict[str, Any]] = Batcher(
            "search", search_together, limits.searches, limits.searches_at_once
        )
        # Long work has a thread of its own, so that searches do not wait for it.
        self._heavy: Batcher[Callable[[], bytes], bytes] = Batcher("heavy", _call_each, limits.heavy, 1)
        self._writes: Batcher[Write, None] = Batcher(
            "write", write_together, limits.writes, limits.writes_at_once, limits.write_pause
        )
        for name, queue in (("search", self._searches), ("heavy", self._heavy), ("write", self._writes)):
            metrics.watch_queue(name, lambda queue=queue: queue.waiting)  # type: ignore[misc]
        for index in indexes:
            metrics.watch_questions(index.name, lambda index=index: len(index.index))  # type: ignore[misc]

    async def end(self) -> None:
        """Finishes what waits."""
        self.is_ending = True
        for queue in (self._searches, self._heavy, self._writes):
            await queue.drain()
            queue.close()

    def operations(self) -> list[Operation]:
        """All that the server can be asked."""
        return [
            Operation(
                "POST", "/search", "Find the questions that ask the same", self.search, SearchAnswer, SearchRequest,
                errors=(429,),
            ),
            Operation(
                "GET", "/search", "The same, with the question in the address", self.search_by_address, SearchAnswer,
                parameters=(
                    Parameter("q", "query", "The question.", is_required=True),
                    Parameter("k", "query", "How many to find.", {"type": "integer", "default": 10}),
                    INDEX_OF_QUERY,
                    Parameter("explain", "query", "1: also give what carried each match.", {"type": "boolean"}),
                    Parameter("words", "query", "1: also give what each word adds.", {"type": "boolean"}),
                    Parameter("hybrid", "query", "1: fuse with the second ranker.", {"type": "boolean"}),
                ),
                errors=(429,),
            ),
            Operation(
                "POST", "/duplicates", "Find the duplicates of many questions, in the index and among each other",
                self.duplicates, DuplicatesAnswer, DuplicatesRequest, errors=(429,),
            ),
            Operation(
                "POST", "/questions", "Add questions", self.add, AddAnswer, AddRequest, status=201, writes=True,
                errors=(409, 429, 507),
            ),
            Operation(
                "DELETE", "/questions/{id:path}", "Remove a question", self.remove, RemoveAnswer, writes=True,
                parameters=(ID_OF_PATH, INDEX_OF_QUERY), errors=(429, 507),
            ),
            Operation(
                "POST", "/v1/embeddings", "Embed texts, as OpenAI's clients ask for it", self.embeddings,
                EmbeddingsAnswer, EmbeddingsRequest, errors=(429,),
            ),
            Operation("GET", "/v1/models", "The encoders that can embed", self.models, Models),
            Operation("GET", "/indexes", "The indexes that are served", self.list_indexes, Indexes),
            Operation("GET", "/health", "Whether the server answers", self.health, Health, errors=(503,)),
            Operation("GET", "/metrics", "Counters for Prometheus", self.metrics, PROMETHEUS),
        ]  # fmt: skip

    async def search(self, _request: Request, message: SearchRequest) -> Response:
        return await self._search(message)

    async def search_by_address(self, request: Request, _message: None) -> Response:
        query = dict(request.query_params)
        values: dict[str, Any] = {"question": query.pop("q", None), "index": query.pop("index", None)}
        if values["question"] is None:
            raise ApiError(400, "q: the question is missing; ask for /search?q=QUESTION")
        k = query.pop("k", "10")
        if not (k.isascii() and k.isdigit()):
            raise ApiError(400, "k: must be a number")
        for name in ("explain", "words", "hybrid"):
            value = query.pop(name, "").lower()
            if value not in FLAGS:
                raise ApiError(400, f"{name}: must be 1 or 0")
            values[name] = FLAGS[value]
        if query:
            raise ApiError(400, f"{next(iter(query))}: there is no such parameter")
        return await self._search(validated(SearchRequest, values | {"k": int(k)}))

    async def _search(self, message: SearchRequest) -> Response:
        index = self._index(message.index)
        index.check(message)
        return json_response(await self._searches(Search(index, message)))

    async def duplicates(self, _request: Request, message: DuplicatesRequest) -> Response:
        index = self._index(message.index)
        return Response(await self._heavy(lambda: index.duplicates(message)), media_type=JSON)

    async def embeddings(self, _request: Request, message: EmbeddingsRequest) -> Response:
        index = self.indexes.get(message.model or "", self._first)
        return Response(await self._heavy(lambda: index.embeddings(message)), media_type=JSON)

    async def add(self, _request: Request, message: AddRequest) -> Response:
        index = self._index(message.index)
        questions = [index.question(new) for new in message.questions]
        try:
            await self._writes(Write(index, Change(questions, (), message.replace)), len(questions))
        except IdTakenError as error:
            raise ApiError(
                409, f"the id {error.question_id} is in the index already; send replace: true to replace it"
            ) from error
        self._metrics.added.inc(len(questions))
        ids = [question.id for question in questions]
        return json_response({"ids": ids, "questions": len(index.index)}, 201)

    async def remove(self, request: Request, _message: None) -> Response:
        index, question_id = self._index(request.query_params.get("index")), request.path_params["id"]
        try:
            await self._writes(Write(index, Change((), (question_id,))))
        except IdMissingError as error:
            raise ApiError(404, f"the id {question_id} is not in the index") from error
        self._metrics.removed.inc()
        return json_response({"removed": question_id, "questions": len(index.index)})

    async def models(self, _request: Request, _message: None) -> Response:
        models = [{"id": name, "object": "model", "created": 0, "owned_by": "askagain"} for name in self.indexes]
        return json_response({"object": "list", "data": models})

    async def list_indexes(self, _request: Request, _message: None) -> Response:
        return json_response({"indexes": [index.info() for index in self.indexes.values()]})

    async def health(self, _request: Request, _message: None) -> Response:
        questions = sum(len(index.index) for index in self.indexes.values())
        status = "ending" if self.is_ending else "ok"
        return json_response({"status": status, "questions": questions}, 503 if self.is_ending else 200)

    async def metrics(self, _request: Request, _message: None) -> Response:
        return Response(self._metrics.text(), headers={"content-type": PROMETHEUS})

    def _index(self, name: str | None) -> ServedIndex:
        if name is None:
            return self._first
        if name not in self.indexes:
            raise ApiError(404, f"index: there is no {name}; there are {', '.join(self.indexes)}")
        return self.indexes[name]


def validated(message: Any, values: dict[str, Any] | bytes) -> Any:
    """A message from its fields, or from JSON; raises ApiError, which names the field that is wrong."""
    try:
        if isinstance(values, bytes):
            return message.model_validate_json(values)
        return message.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        # Of a choice between types, pydantic also names the one that was tried.
        place = ".".join(str(part) for part in first["loc"] if isinstance(part, int) or part.isidentifier())
        text = first["msg"].removeprefix("Value error, ")
        raise ApiError(400, f"{place}: {text}" if place else f"the body is not what is wanted: {text}") from error


def _call_each(calls: Sequence[Callable[[], bytes]]) -> list[bytes | BaseException]:
    results: list[bytes | BaseException] = []
    for call in calls:
        try:
            results.append(call())
        except InputError as error:
            results.append(error)
    return results
