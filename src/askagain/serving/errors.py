"""Answers in JSON, and what a client is told of a request that is refused, in the form that OpenAI's clients read."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import orjson
from starlette.responses import Response

JSON = "application/json"


class ApiError(Exception):
    """A request that is refused, with the HTTP status and one line for whoever sent it."""

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.headers = status, dict(headers or {})


def error_body(status: int, message: str) -> dict[str, Any]:
    """`{"error": {"message", "type", "code"}}`."""
    kind = "invalid_request_error" if status < 500 else "server_error"
    return {"error": {"message": message, "type": kind, "param": None, "code": HTTPStatus(status).phrase}}


def error_response(error: ApiError) -> Response:
    """The answer to a request that is refused."""
    return json_response(error_body(error.status, str(error)), error.status, error.headers)


def json_bytes(content: Any) -> bytes:
    """JSON of dictionaries, lists, numbers and arrays."""
    return orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY)


def json_response(content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """An answer in JSON."""
    return Response(json_bytes(content), status, headers, JSON)
