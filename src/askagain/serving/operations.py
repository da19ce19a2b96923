"""What the server can be asked, as a table: its routes and its OpenAPI document are made of it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

Handler: TypeAlias = Callable[[Request, Any], Awaitable[Response]]


@dataclass(frozen=True)
class Parameter:
    """A part of the path, or of the query. `schema`: of its value."""

    name: str
    place: str
    about: str
    schema: dict[str, Any] = field(default_factory=lambda: {"type": "string"})
    is_required: bool = False


@dataclass(frozen=True)
class Operation:
    """A method of a path.

    `handler`: is given the request and its message. `message`: that the body must be (None: there is no body).
    `answer`: that is sent, with `status`; where it is a string, that media type is. `writes`: needs the token.
    """

    method: str
    path: str
    summary: str
    handler: Handler
    answer: type[BaseModel] | str
    message: type[BaseModel] | None = None
    status: int = 200
    writes: bool = False
    parameters: tuple[Parameter, ...] = ()
    errors: tuple[int, ...] = ()
