"""Which columns of a table hold what, found by their names or given, and what their cells say."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

from askagain.convert.tables import Record, as_text
from askagain.errors import InputError

PAIRS = (
    ("question1", "question2"),
    ("anchor", "positive"),
    ("query", "positive"),
    ("query", "pos"),
    ("question", "duplicate"),
    ("sentence1", "sentence2"),
    ("sentencea", "sentenceb"),
    ("text1", "text2"),
    ("title1", "title2"),
    ("title", "duplicatetitle"),
    ("q1", "q2"),
    ("sentence1text", "sentence2text"),
)
SETS = ("set", "group", "questions", "texts", "sentences", "duplicates", "titles")
LABELS = ("isduplicate", "duplicate", "label", "labels", "similar", "ismatch")
GROUPS = ("groupid", "group", "cluster", "clusterid", "duplicategroup", "canonicalid")
DUPLICATE_OF = ("duplicateof", "duplicateid", "originalid", "parentid")
TEXTS = ("text", "title", "question", "sentence", "query", "content", "questiontitle")
IDS = ("id", "postid", "questionid", "textid", "docid")
DATES = ("date", "created", "createdat", "creationdate", "timestamp", "time", "askedat")
POSITIVE = re.compile(r"positive_?\d*|pos_?\d*", re.IGNORECASE)
NEGATIVE = re.compile(r"neg(ative)?s?_?\d*", re.IGNORECASE)
YES = ("1", "1.0", "true", "yes", "duplicate", "y", "t")
NO = ("0", "0.0", "false", "no", "notduplicate", "nonduplicate", "n", "f", "", "none", "null")
MILLISECONDS = 10**11  # a Unix time beyond is not in seconds


@dataclass(frozen=True)
class Columns:
    """Names of columns; None or none: found by their names.

    `texts`: two or more columns whose texts duplicate each other, or the one with the text. `label`: whether a row's
    texts do. `group`: rows with the same value duplicate each other. `date`: when the text was written.
    """

    texts: tuple[str, ...] = ()
    label: str | None = None
    group: str | None = None
    date: str | None = None


def pair_columns(names: list[str]) -> list[str]:
    """The columns of a pair, found by their names; with `positive`, all of its kind."""
    plain = {_plain(name): name for name in names}
    for pair in PAIRS:
        if all(name in plain for name in pair):
            chosen = [plain[name] for name in pair]
            more = [name for name in names if POSITIVE.fullmatch(name) and name not in chosen]
            return chosen + more if POSITIVE.fullmatch(chosen[1]) else chosen
    return []


def wanted_column(
    path: Path, names: list[str], given: str | None, known: tuple[str, ...], meaning: str, needed: bool = True
) -> str | None:
    """The column that was given, else the one found by its name; `none` stands for no column."""
    if given is not None and given.lower() == "none" and given not in names:
        return None
    if given is not None and given in names:
        return given
    found = column_named(names, known) if given is None else None
    if found is None and needed:
        said = f"no column {given}" if given is not None else f"which column is the {meaning}?"
        raise InputError(f"{path}: {said}; its columns are {', '.join(names)}")
    return found


def refuse_names(path: Path, columns: Columns) -> None:
    """Raises InputError where columns are named of a table whose columns have no names."""
    given = [name for name in (columns.label, columns.group, columns.date) if name not in (None, "none")]
    if given:
        raise InputError(
            f"{path}: its columns have no names, so there is no {given[0]}; number them, as in --columns 2,3 --label "
            "1, or add a first line with names"
        )


def column_named(names: list[str], known: tuple[str, ...]) -> str | None:
    """The column with the first of the `known` names that is there, whatever its case and signs."""
    plain = {_plain(name): name for name in reversed(names)}
    return next((plain[name] for name in known if name in plain), None)


def _plain(name: str) -> str:
    return re.sub(r"[\W_]", "", name.lower())


def is_yes(path: Path, record: Record, label: str) -> bool:
    """Whether a row's texts are duplicates; raises InputError where its label says neither yes nor no."""
    cells = record.cells if isinstance(record.cells, dict) else {}
    value = re.sub(r"[\s_-]", "", as_text(cells.get(label)).lower())
    if value not in YES and value not in NO:
        raise InputError(
            f"{path}, line {record.line}: {label}={as_text(cells.get(label))!r} says neither yes nor no "
            "(1 or 0, true or false); name another column with --label, or none with --label none"
        )
    return value in YES


def date_of(path: Path, record: Record, column: str | None) -> int | None:
    """Seconds since 1970, or None."""
    if column is None or not isinstance(record.cells, dict):
        return None
    value = record.cells.get(column)
    try:
        if isinstance(value, datetime):
            return int(value.replace(tzinfo=value.tzinfo or UTC).timestamp())
        if isinstance(value, date):
            return int(datetime(value.year, value.month, value.day, tzinfo=UTC).timestamp())
        text = as_text(value).strip()
        if not text:
            return None
        if re.fullmatch(r"\d{9,}(\.\d+)?", text):
            seconds = float(text)
            return int(seconds / 1000 if seconds > MILLISECONDS else seconds)
        moment = datetime.fromisoformat(text)
        return int(moment.replace(tzinfo=moment.tzinfo or UTC).timestamp())
    except (ValueError, OverflowError) as error:
        raise InputError(
            f"{path}, line {record.line}: {column}={as_text(value)[:40]!r} is no date such as 2026-01-31 or a Unix "
            "time; name another column with --date, or none with --date none"
        ) from error
