"""Who may do what: a token, the names that the server answers to, and headers that browsers obey."""

import base64
import binascii
import hashlib
import hmac
import ipaddress
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from askagain.errors import InputError
from askagain.serving.errors import ApiError, error_response

LEAST_TOKEN = 16  # characters
SECURITY = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


def read_token(path: Path) -> str:
    """The token in a file; raises InputError where there is none that will do."""
    try:
        token = path.read_text(encoding="ascii").strip()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: a token has ASCII letters and digits only") from error
    if len(token) < LEAST_TOKEN or not token.isprintable() or " " in token:
        raise InputError(
            f"{path}: a token is one word of at least {LEAST_TOKEN} characters; make one with: openssl rand -hex 32"
        )
    return token


def is_loopback(host: str) -> bool:
    """Whether an address is that of this machine for itself."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


@dataclass(frozen=True)
class Access:
    """The rules of a server.

    `token`: that writing needs (None: nobody may write). `everything`: whether all else needs it too. `hosts`: names
    that a request may call the server by (empty: any), so that a foreign page cannot reach it by a name of its own that
    points here.
    """

    token: str | None
    everything: bool
    hosts: Collection[str]

    def check(self, headers: Headers) -> None:
        """Raises ApiError where a request may not be answered at all."""
        if self.hosts and _host(headers.get("host", "")) not in self.hosts:
            raise ApiError(403, "the server does not go by this name; allow it with --allow-host")
        if self.everything:
            self.check_token(headers)

    def check_token(self, headers: Headers) -> None:
        """Raises ApiError where a request does not have the token."""
        if self.token is None:
            raise ApiError(403, "questions can be changed only where the server was started with --token-file")
        given = _given_token(headers.get("authorization", ""))
        if given is None or not hmac.compare_digest(_digest(given), _digest(self.token)):
            # Chromium asks for a password only where Basic stands alone: a list with Bearer is unknown to it.
            raise ApiError(
                401,
                "a token is needed: send the header Authorization: Bearer TOKEN",
                headers={"www-authenticate": 'Basic realm="askagain", charset="UTF-8"'},
            )


class SecurityMiddleware:
    """Checks access before anything of a request is read, and adds headers that browsers obey."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app, self._access = app, access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY.items():
                    headers.setdefault(name, value)
                headers.setdefault("cache-control", "no-store")
            await send(message)

        try:
            self._access.check(Headers(scope=scope))
        except ApiError as error:
            await error_response(error)(scope, receive, send_with_headers)
            return
        await self._app(scope, receive, send_with_headers)


def _given_token(authorization: str) -> str | None:
    """The token of a request: a bearer's, or the password that a browser asked its user for."""
    scheme, _, value = authorization.partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(value, validate=True).decode().partition(":")[2]
        except (binascii.Error, UnicodeDecodeError):
            return None
    return None


def _digest(text: str) -> bytes:
    """Of one length whatever the text, so that a comparison takes the same time."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def _host(header: str) -> str:
    """The name in a Host header, without the port."""
    if header.startswith("["):
        return header.partition("]")[0] + "]"
    return header.partition(":")[0].lower()
