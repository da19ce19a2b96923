"""Downloads a file in pieces that an interrupted download keeps, and checks what came."""

import contextlib
import hashlib
import json
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import requests
from rich.progress import TaskID

from askagain.errors import InputError
from askagain.fetch.catalogue import RemoteFile
from askagain.files.progress import Bar, bytes_progress_bar
from askagain.files.writing import write_text

CHUNK_BYTES = 1 << 16  # what a broken connection loses at most
CONNECT_SECONDS, READ_SECONDS = 10, 60
TRIES = 5
LONGEST_WAIT = 30.0  # seconds, whatever a server asks for
BUSY = (408, 429, 500, 502, 503, 504)
WEB_PAGE = (b"<!doctype html", b"<html")


class _InterruptedError(Exception):
    """A try that may succeed when it is repeated; `wait`: seconds that the server asks for."""

    def __init__(self, reason: str, wait: float | None = None) -> None:
        super().__init__(reason)
        self.wait = wait


def download(file: RemoteFile, path: Path, pause: float = 1.0) -> None:
    """Writes a remote file to `path`, unless it is there already.

    What an interrupted download has got stays beside it as `.part` and is continued, if the server's file is still the
    same one. A busy server or a broken connection is tried again, each time after twice the `pause` (seconds).

    Raises InputError where the file cannot be had, or is not the one that was expected.
    """
    if path.exists():
        check_file(file, path)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    for attempt in range(TRIES):
        try:
            _try(file, part)
            break
        except _InterruptedError as interruption:
            if attempt == TRIES - 1:
                got = f"; {part.stat().st_size:,} bytes are kept and continued" if part.exists() else ""
                raise InputError(f"{file.name}: {interruption}; try again later{got}") from interruption
            time.sleep(min(LONGEST_WAIT, interruption.wait or pause * 2**attempt))
    try:
        check_file(file, part)
    except InputError as error:
        _forget(part)
        raise InputError(f"{error}; it was removed") from error
    part.replace(path)
    _forget(part)


def _try(file: RemoteFile, part: Path) -> None:
    """Downloads what is missing of `part`; raises _InterruptedError where that ends too early."""
    begun = part.stat().st_size if part.exists() else 0
    validator = _validator(part) if begun else None
    if begun and validator is None:  # nothing says that the server's file is still the same
        begun = 0
    headers = {"Accept-Encoding": "identity"}
    if begun and validator is not None:
        headers |= {"Range": f"bytes={begun}-", "If-Range": validator}
    try:
        with (
            requests.get(file.url, headers=headers, stream=True, timeout=(CONNECT_SECONDS, READ_SECONDS)) as response,
            _bar(file) as (bar, task),
        ):
            begun = _accepted(file, response, part, begun)
            length = response.headers.get("Content-Length")
            total = begun + int(length) if length is not None and length.isdigit() else file.bytes
            bar.update(task, total=total, completed=begun)
            with part.open("ab" if begun else "wb") as out:
                for piece in response.iter_content(CHUNK_BYTES):
                    out.write(piece)
                    bar.update(task, advance=len(piece))
            if total is not None and part.stat().st_size < total:
                raise _InterruptedError(f"the connection broke off after {part.stat().st_size:,} of {total:,} bytes")
    except (requests.exceptions.ChunkedEncodingError, requests.exceptions.ReadTimeout) as error:
        raise _InterruptedError("the connection broke off") from error
    except requests.exceptions.ConnectionError as error:
        if part.exists() and part.stat().st_size > begun:
            raise _InterruptedError("the connection broke off") from error
        host = urlsplit(file.url).hostname
        raise InputError(
            f"{file.name}: {host} cannot be reached; check the network, or download {file.url} elsewhere and give "
            "it with --from"
        ) from error
    except requests.exceptions.RequestException as error:
        raise InputError(f"{file.name}: {file.url} cannot be downloaded ({type(error).__name__})") from error


def _accepted(file: RemoteFile, response: requests.Response, part: Path, begun: int) -> int:
    """The number of bytes that are kept of an earlier try; raises an error for an answer without content."""
    status = response.status_code
    if status in BUSY:
        wait = response.headers.get("Retry-After", "")
        raise _InterruptedError(f"the server is busy ({status})", float(wait) if wait.isdigit() else None)
    if status == 416:  # there is nothing after what was kept: it is whole, or of another file
        _forget(part)
        part.unlink(missing_ok=True)
        raise _InterruptedError("the server does not have the rest of it (416)", 0.001)
    if status == 404:
        raise InputError(
            f"{file.name}: not at {file.url} any more (404); download it elsewhere and give it with --from"
        )
    if status not in (200, 206):
        raise InputError(f"{file.name}: {file.url} answers {status} {response.reason}")
    validator = response.headers.get("ETag") or response.headers.get("Last-Modified")
    if validator and not validator.startswith("W/"):
        write_text(_beside(part), [json.dumps({"validator": validator})])
    elif _beside(part).exists():
        _beside(part).unlink()
    expected = f"bytes {begun}-"
    if status == 206 and response.headers.get("Content-Range", expected).startswith(expected):
        return begun
    if status == 206:
        _forget(part)
        part.unlink(missing_ok=True)
        raise _InterruptedError("the server sent another part of it")
    return 0


def check_file(file: RemoteFile, path: Path) -> None:
    """Raises InputError where a file is not what the catalogue says."""
    size = path.stat().st_size
    with path.open("rb") as content:
        begins = content.read(512).lstrip().lower()
    if begins.startswith(WEB_PAGE):
        raise InputError(f"{file.name}: a web page came instead of the file; open {file.url} in a browser, and give "
                         "what it saves with --from")  # fmt: skip
    if file.bytes is not None and size != file.bytes:
        raise InputError(f"{file.name}: {size:,} bytes instead of {file.bytes:,}")
    for name in ("sha256", "md5"):
        wanted = getattr(file, name)
        if wanted is not None:
            with path.open("rb") as content:
                digest = hashlib.file_digest(content, name).hexdigest()
            if digest != wanted:
                raise InputError(f"{file.name}: not the file that was expected ({name} {digest})")


def _validator(part: Path) -> str | None:
    """What the server called its version of the file that `part` is from."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        return str(json.loads(_beside(part).read_text("utf-8"))["validator"])
    return None


def _beside(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def _forget(part: Path) -> None:
    part.unlink(missing_ok=True)
    _beside(part).unlink(missing_ok=True)


@contextlib.contextmanager
def _bar(file: RemoteFile) -> Iterator[tuple[Bar, TaskID]]:
    with bytes_progress_bar() as bar:
        yield bar, bar.add_task(f"fetching {file.name}", total=file.bytes)
