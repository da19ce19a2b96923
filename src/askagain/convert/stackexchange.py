"""Reads a Stack Exchange data dump: the questions of Posts.xml, and the duplicates that PostLinks.xml tells."""

import json
import re
import zlib
from array import array
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from lzma import LZMAError
from pathlib import Path
from typing import Any

import numpy as np

from askagain.convert.questions import TOO_LONG, UNKNOWN_DATE, Questions, is_too_long, join, key_hash, one_line
from askagain.convert.xml_rows import RowError, RowParser, read_rows_of
from askagain.errors import InputError
from askagain.files.progress import bytes_progress_bar
from askagain.text.lazy_texts import LazyTexts

POSTS, LINKS = "Posts.xml", "PostLinks.xml"
QUESTION, DUPLICATE = "1", "3"  # PostTypeId, LinkTypeId
LARGEST_ID = np.iinfo(np.int64).max
FABRICATED = frozenset({1_000_000_001, 1_000_000_010})  # posts that dumps have since 2025, and sites do not
DAMAGED = (EOFError, LZMAError, OSError, ValueError, zlib.error)  # of decompressors
SEVEN_ZIP = b"7z\xbc\xaf\x27\x1c"


class Dump:
    """What one pass over each file of a dump finds. Of a post only its numbers stay in memory.

    `titles`: where titles are written, one a line. `posts`: where questions are written as JSON Lines, with id, title,
    body, code, tags and date; None to leave them out.
    """

    def __init__(self, titles: Path, posts: Path | None) -> None:
        self._titles_path = titles
        self._files = ExitStack()
        self._titles = self._files.enter_context(titles.open("wb"))
        self._posts = (
            None if posts is None else self._files.enter_context(posts.open("w", encoding="utf-8", newline="\n"))
        )
        self._ids, self._offsets, self._keys, self._dates = array("q"), array("q", [0]), array("Q"), array("q")
        self._links = array("q")
        self.counts = {"posts": 0, "questions": 0, "fabricated posts left out": 0, "duplicate links": 0, TOO_LONG: 0}

    def take_post(self, row: Mapping[str, Any]) -> None:
        """A row of Posts.xml; all but questions are passed over."""
        self.counts["posts"] += 1
        if row.get("PostTypeId") != QUESTION:
            return
        post = _number(row, "Id")
        title = one_line(row.get("Title", ""))
        if post in FABRICATED:
            self.counts["fabricated posts left out"] += 1
            return
        if is_too_long(title):
            self.counts[TOO_LONG] += 1
            return
        if not title:
            return
        self.counts["questions"] += 1
        written = f"{title}\n".encode("utf-8", "replace")
        self._titles.write(written)
        self._ids.append(post)
        self._offsets.append(self._offsets[-1] + len(written))
        self._keys.append(key_hash(title))
        self._dates.append(_seconds(row.get("CreationDate")))
        if self._posts is not None:
            self._posts.write(_as_json(post, title, row))

    def take_link(self, row: Mapping[str, Any]) -> None:
        """A row of PostLinks.xml; all but duplicates are passed over."""
        if row.get("LinkTypeId") == DUPLICATE:
            self.counts["duplicate links"] += 1
            self._links.extend((_number(row, "PostId"), _number(row, "RelatedPostId")))

    def questions(self) -> Questions:
        """The questions and their groups, once all has been read; titles are read from their file."""
        self._files.close()
        ids = np.frombuffer(self._ids, dtype=np.int64)
        links = np.frombuffer(self._links, dtype=np.int64).reshape(-1, 2)
        order = np.argsort(ids, kind="stable")
        places = order[np.searchsorted(ids, links, sorter=order).clip(max=max(0, len(ids) - 1))] if len(ids) else links
        known = (ids[places] == links).all(axis=1) if len(ids) else np.zeros(0, dtype=bool)
        self.counts["duplicate links to a post that is no question here"] = int((~known).sum())
        texts = Lines(self._titles_path, np.frombuffer(self._offsets, dtype=np.int64))
        dates = np.frombuffer(self._dates, dtype=np.int64)
        keys = np.frombuffer(self._keys, dtype=np.uint64)
        return join(texts, keys, places[known], np.ones(len(ids), dtype=bool), dates, self.counts)


class Lines(LazyTexts):
    """The lines of a UTF-8 file, read when they are asked for. `offsets`: where each begins, [lines + 1]."""

    def __init__(self, path: Path, offsets: np.ndarray) -> None:
        self._bytes: np.ndarray = np.memmap(path, np.uint8, mode="r") if path.stat().st_size else np.zeros(0, np.uint8)
        self._offsets = offsets

    def __len__(self) -> int:
        return len(self._offsets) - 1

    def text(self, place: int) -> str:
        return self._bytes[self._offsets[place] : self._offsets[place + 1] - 1].tobytes().decode("utf-8")


def read_dump(sources: Sequence[Path], titles: Path, posts: Path | None) -> Questions:
    """Reads Posts.xml and PostLinks.xml, plain, gzip or inside of `.7z` archives; see `Dump`.

    `sources`: the two files, in any order, one archive of both, or one of each. Raises InputError where one is missing
    or damaged.
    """
    dump = Dump(titles, posts)
    takers = {"posts": dump.take_post, "postlinks": dump.take_link}
    seen: dict[str, int] = {}
    for source in sources:
        if _is_seven_zip(source):
            seen |= _read_archive(source, takers)
        else:
            kind = _kind(source.name)
            if kind is None:
                raise InputError(f"{source}: its name should have {POSTS} or {LINKS} in it, or end in .7z")
            seen[kind] = read_rows_of(source, takers[kind])
    for kind, name in (("posts", POSTS), ("postlinks", LINKS)):
        if kind not in seen:
            raise InputError(f"{', '.join(map(str, sources))}: {name} is missing; a dump has it beside the other file")
    if not dump.counts["questions"]:
        raise InputError(f"{', '.join(map(str, sources))}: there are no questions in {POSTS}")
    return dump.questions()


def _kind(name: str) -> str | None:
    plain = name.lower()
    return "postlinks" if "postlinks" in plain else "posts" if re.search(r"(^|[^a-z])posts\b", plain) else None


def _is_seven_zip(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(SEVEN_ZIP)) == SEVEN_ZIP
    except OSError:
        return False  # the reader of plain files says what is wrong with it


def _read_archive(path: Path, takers: Mapping[str, Any]) -> dict[str, int]:
    """Parses the two files while they are unpacked; nothing is written."""
    try:
        import py7zr
        from py7zr.exceptions import ArchiveError, PasswordRequired
        from py7zr.io import Py7zIO, WriterFactory
    except ImportError as error:
        raise InputError(f"{path}: reading .7z needs py7zr: pip install py7zr, or unpack the archive") from error

    parsers: dict[str, RowParser] = {}

    class Fed(Py7zIO):
        """A file that is parsed instead of being written."""

        def __init__(self, parser: RowParser) -> None:
            self._parser = parser
            self._size = 0

        def write(self, piece: bytes | bytearray) -> int:
            self._parser.feed(bytes(piece))
            self._size += len(piece)
            bar.update(task, advance=len(piece))
            return len(piece)

        def read(self, size: int | None = None) -> bytes:
            return b""

        def seek(self, offset: int, whence: int = 0) -> int:
            return 0

        def flush(self) -> None:
            pass

        def size(self) -> int:
            return self._size

    class Parsing(WriterFactory):
        def create(self, filename: str) -> Py7zIO:
            return Fed(parsers[Path(filename).name])

    try:
        with py7zr.SevenZipFile(path, "r") as archive, bytes_progress_bar() as bar:
            files = [file for file in archive.list() if _kind(Path(file.filename).name) and not file.is_directory]
            kinds = {Path(file.filename).name: str(_kind(Path(file.filename).name)) for file in files}
            if len(kinds) < len(files):
                raise InputError(f"{path}: two of its files have one name; unpack it, and give one of them")
            parsers |= {name: RowParser(f"{name} in {path}", takers[kind]) for name, kind in kinds.items()}
            task = bar.add_task(f"reading {path.name}", total=sum(file.uncompressed for file in files))
            archive.extract(targets=[file.filename for file in files], factory=Parsing())
    except PasswordRequired as error:
        raise InputError(f"{path}: the archive is encrypted; unpack it, and give its files") from error
    except (ArchiveError, *DAMAGED) as error:
        if isinstance(error, InputError) or getattr(error, "errno", None) is not None:  # such as of a full disk
            raise
        raise InputError(f"{path}: damaged or incomplete archive ({error}); download it again") from error
    for parser in parsers.values():
        parser.close()
    return {kind: parsers[name].rows for name, kind in kinds.items()}


def _as_json(post: int, title: str, row: Mapping[str, Any]) -> str:
    from askagain.convert.html_text import split_code

    text, code = split_code(row.get("Body", ""))
    tags = [tag for tag in re.split(r"[<>|]", row.get("Tags", "")) if tag]
    record = {"id": post, "title": title, "body": text, "code": code, "tags": tags, "date": row.get("CreationDate")}
    return json.dumps(record, ensure_ascii=False) + "\n"


def _number(row: Mapping[str, Any], name: str) -> int:
    try:
        number = int(row[name])
    except (KeyError, ValueError):
        number = LARGEST_ID + 1
    if not -LARGEST_ID <= number <= LARGEST_ID:
        raise RowError(f"{name}={str(row.get(name))[:40]!r} is no number of a post")
    return number


def _seconds(date: str | None) -> int:
    try:
        return int(datetime.fromisoformat(str(date)).replace(tzinfo=UTC).timestamp())
    except ValueError:
        return UNKNOWN_DATE
