"""The web application: routes, limits and upkeep around the API."""

import asyncio
import hashlib
import logging
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from importlib.metadata import version
from importlib.resources import files
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from askagain.errors import InputError
from askagain.serving.access import Access, SecurityMiddleware
from askagain.serving.api import Api, validated
from askagain.serving.batching import FullError
from askagain.serving.errors import JSON, ApiError, error_response, json_response
from askagain.serving.limits import Limits
from askagain.serving.metrics import ServerMetrics
from askagain.serving.openapi import openapi, openapi_page
from askagain.serving.operations import Operation
from askagain.serving.service import ServedIndex

SCRIPTS = ("page.js", "column.js", "marks.js", "server.js")
PAGE = {"": "index.html"} | {name: name for name in (*SCRIPTS, "page.css", "icon.svg")}
MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}
REFRESHED_EVERY = 0.2  # seconds between looks for changes of other processes
UPKEEP_AGAIN, UPKEEP_AFTER_FAILURE = 5.0, 60.0  # seconds from one to the next
PATH = "askagain.path"  # of the operation, in a request's scope

log = logging.getLogger(__name__)


def build_app(
    indexes: Sequence[ServedIndex],
    access: Access,
    limits: Limits,
    metrics: ServerMetrics,
    origins: Sequence[str] = (),
) -> Starlette:
    """The application.

    Args:
        indexes: that are served.
        access: who may do what.
        limits: how much is taken on.
        metrics: that are counted.
        origins: Sites whose pages may read answers (CORS).
    """
    api = Api(indexes, limits, metrics)
    operations = api.operations()
    document = openapi(operations, version("askagain"))
    routes = [Route(one.path, _endpoint(one, access, limits), methods=[one.method]) for one in operations]
    routes += [Route(f"/{path}", _static(name)) for path, name in PAGE.items()]
    routes += [
        Route("/openapi.json", lambda _: json_response(document)),
        Route("/docs", lambda _: HTMLResponse(openapi_page(document))),
    ]
    middleware = [
        Middleware(SecurityMiddleware, access=access),
        Middleware(_Watch, limits=limits, metrics=metrics),
    ]
    if origins:
        allowed: dict[str, Any] = {"allow_methods": ["GET", "POST", "DELETE"], "allow_headers": ["authorization"]}
        middleware.insert(0, Middleware(CORSMiddleware, allow_origins=list(origins), **allowed))
    app = Starlette(
        routes=routes,
        middleware=middleware,
        lifespan=_lifespan(api, indexes),
        exception_handlers={HTTPException: _http_error, Exception: _defect},
    )
    app.router.redirect_slashes = False
    return app


def _endpoint(operation: Operation, access: Access, limits: Limits) -> Callable[[Request], Awaitable[Response]]:
    """An operation as Starlette calls it."""

    async def endpoint(request: Request) -> Response:
        request.scope[PATH] = operation.path
        try:
            if operation.writes:
                access.check_token(request.headers)
            message = None
            if operation.message is not None:
                message = validated(operation.message, await _body(request, limits.body_bytes))
            return await operation.handler(request, message)
        except ApiError as error:
            return error_response(error)
        except FullError:
            busy = ApiError(429, "the server has too much to do; try again in a second", {"retry-after": "1"})
            return error_response(busy)
        except InputError as error:
            return error_response(ApiError(400, str(error)))

    return endpoint


async def _body(request: Request, most: int) -> bytes:
    """The body of a request; raises ApiError where it is no JSON, or too long."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != JSON:
        raise ApiError(415, f"send JSON, with the header Content-Type: {JSON}")
    too_long = ApiError(413, f"the body is longer than {most:,} bytes", {"connection": "close"})
    length = request.headers.get("content-length", "0")
    if length.isascii() and length.isdigit() and int(length) > most:
        raise too_long
    body = bytearray()
    try:
        async for part in request.stream():
            body += part
            if len(body) > most:
                raise too_long
    except ClientDisconnect as error:
        raise ApiError(400, "the body ended early") from error
    return bytes(body)


class _Watch:
    """Counts requests, and ends those that take too long."""

    def __init__(self, app: ASGIApp, limits: Limits, metrics: ServerMetrics) -> None:
        self._app, self._seconds, self._metrics = app, limits.seconds, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start, status = time.perf_counter(), 0

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            async with asyncio.timeout(self._seconds):
                await self._app(scope, receive, noted)
        except TimeoutError:
            if status:
                raise
            late = ApiError(503, f"no answer within {self._seconds:g} s; try again", {"retry-after": "5"})
            await error_response(late)(scope, receive, noted)
        finally:
            path, method = scope.get(PATH, "other"), scope["method"] if PATH in scope else "other"
            self._metrics.requests.labels(method, path, str(status)).inc()
            self._metrics.seconds.labels(method, path).observe(time.perf_counter() - start)


def _static(name: str) -> Callable[[Request], Response]:
    """A file of the page."""
    content = files("askagain.serving").joinpath("page", name).read_bytes()
    tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    headers = {"etag": tag, "cache-control": "no-cache", "content-type": MEDIA_TYPES[f".{name.rpartition('.')[2]}"]}

    def endpoint(request: Request) -> Response:
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        return Response(content, headers=headers)

    return endpoint


def _http_error(_request: Request, error: Exception) -> Response:
    """A path or a method that there is not."""
    assert isinstance(error, HTTPException)
    messages = {404: "there is nothing at this path; see /docs", 405: "the path has no such method; see /docs"}
    message = messages.get(error.status_code, str(error.detail))
    return error_response(ApiError(error.status_code, message, error.headers))


def _defect(_request: Request, _error: Exception) -> Response:
    return error_response(ApiError(500, "the server failed; its log says how"))


def _lifespan(api: Api, indexes: Sequence[ServedIndex]) -> Callable[[Starlette], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(_keep_fresh(index)) for index in indexes]
        tasks += [asyncio.create_task(_keep_up(index)) for index in indexes if index.writer is not None]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await api.end()

    return lifespan


async def _keep_fresh(index: ServedIndex) -> None:
    """Takes up what other processes have changed; searches go on meanwhile."""
    said = ""
    while True:
        await asyncio.sleep(REFRESHED_EVERY)
        try:
            await asyncio.to_thread(index.refresh)
            said = ""
        except (InputError, OSError) as error:
            if str(error) != said:
                log.error("%s: not read again; the earlier questions are served: %s", index.name, error)
            said = str(error)


async def _keep_up(index: ServedIndex) -> None:
    """Starts upkeep beside the server where it is due."""
    assert index.writer is not None
    one_thread = os.environ | {"OMP_NUM_THREADS": "1"}
    while True:
        await asyncio.sleep(REFRESHED_EVERY)
        if not index.writer.needs_upkeep:
            continue
        command = [sys.executable, "-m", "askagain.serving.upkeep", str(index.folder)]
        # Not by asyncio: uvloop forks, and a thread that is in OpenBLAS meanwhile never comes out of it.
        process = await asyncio.to_thread(
            subprocess.Popen, command, env=one_thread, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        try:
            _, said = await asyncio.to_thread(process.communicate)
        except asyncio.CancelledError:
            process.terminate()
            process.wait()
            raise
        if process.returncode:
            lines = said.decode("utf-8", "replace").strip().splitlines()
            log.error("%s: upkeep failed: %s", index.name, lines[-1] if lines else process.returncode)
            await asyncio.sleep(UPKEEP_AFTER_FAILURE)
        await asyncio.sleep(UPKEEP_AGAIN)
