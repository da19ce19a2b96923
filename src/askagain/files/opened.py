"""Opens files of the user's, plain or gzip, with a progress bar; unreadable ones raise InputError."""

import gzip
import io
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from askagain.errors import InputError

GZIP_MAGIC = b"\x1f\x8b"
BYTE_ORDER_MARK = b"\xef\xbb\xbf"  # of UTF-8
BUFFER_BYTES = 1 << 20


def refuse_unreadable(path: Path) -> None:
    """Raises InputError where `path` is missing, no regular file, empty or not readable by this user.

    A pipe or a device is refused: it may never end, and is read more than once.
    """
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        raise InputError(f"{path} does not exist: check the path") from None
    except (OSError, ValueError) as error:  # a loop of links, a name that is too long
        raise InputError(f"{path} cannot be opened ({getattr(error, 'strerror', error)}): check the path") from error
    if stat.S_ISDIR(mode):
        raise InputError(f"{path} is a folder: name the file in it")
    if not stat.S_ISREG(mode):
        raise InputError(f"{path} is no regular file: write the data to a file")
    try:
        with path.open("rb") as file:
            empty = not file.read(1)
    except OSError as error:
        raise InputError(f"{path} cannot be opened ({error.strerror}): check its permissions") from error
    if empty:
        raise InputError(f"{path} is empty: write or download it again")


def is_gzip(path: Path) -> bool:
    """Whether the content is gzip, whatever the file's name."""
    with path.open("rb") as file:
        return file.read(len(GZIP_MAGIC)) == GZIP_MAGIC


def head(path: Path, n_bytes: int) -> bytes:
    """The first `n_bytes` of the decompressed content, or all of a shorter file."""
    with path.open("rb") as file, _decompressed(file, path) as content:
        return content.read(n_bytes)


def count_lines(path: Path) -> int:
    """The line ends in a plain file."""
    with path.open("rb") as file:
        return sum(piece.count(b"\n") for piece in iter(lambda: file.read(BUFFER_BYTES), b""))


@contextmanager
def opened_with_progress(path: Path) -> Iterator[BinaryIO]:
    """Opens the decompressed content of `path`, with a progress bar where stderr is a terminal.

    Raises InputError where gzip data are damaged or end too early.
    """
    from askagain.files.progress import bytes_progress_bar  # rich is not needed to encode

    with bytes_progress_bar() as progress, path.open("rb") as file:
        watched = progress.wrap_file(file, path.stat().st_size, f"reading {path.name}")
        with _decompressed(watched, path) as content:
            yield content


@contextmanager
def _decompressed(file: BinaryIO, path: Path) -> Iterator[BinaryIO]:
    try:
        if is_gzip(path):
            with gzip.GzipFile(fileobj=file) as content:
                yield cast(BinaryIO, content)
        else:
            # Buffered, so that the progress bar is not updated for every line.
            yield cast(BinaryIO, io.BufferedReader(cast(io.RawIOBase, file), BUFFER_BYTES))
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(f"{path} is damaged or incomplete gzip data ({error}): copy or download it again") from error
