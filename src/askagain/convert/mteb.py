"""Reads tasks of MTEB on disk: AskUbuntuDupQuestions, StackOverflowDupQuestions, CQADupstack and their kind."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from askagain.convert.beir import BeirFolder
from askagain.convert.layouts import texts_of
from askagain.convert.questions import is_too_long, one_line
from askagain.convert.tables import SUFFIXES, CellError, as_text, read_table, table_suffix
from askagain.corpus.candidates import CandidateSampler
from askagain.errors import InputError

SETS = {"dev": "validation", "validation": "validation", "test": "test"}


class Query(NamedTuple):
    """A query, the texts that duplicate it, and those that do not."""

    text: str
    positive: list[str]
    negative: list[str]


def read_reranking(folder: Path) -> dict[str, list[Query]]:
    """The queries of a reranking task by set, `validation` or `test`: with their own positive and negative texts.

    Raises InputError where the folder has no file of that kind, or a line lacks one of the three.
    """
    by_set: dict[str, list[Query]] = {}
    for path in sorted(folder.rglob("*")):
        split = next((name for name in SETS if path.name.startswith(name)), None)
        if split is not None and path.is_file() and table_suffix(path) in SUFFIXES:
            by_set.setdefault(SETS[split], []).extend(_queries(path))
    if not by_set:
        raise InputError(f"{folder}: no test.jsonl.gz or Parquet of a test set in it; give the folder of the task")
    return by_set


def _queries(path: Path) -> Iterator[Query]:
    for record in read_table(path):
        cells = record.cells
        if not isinstance(cells, dict) or not {"query", "positive", "negative"} <= set(cells):
            raise InputError(f"{path}, line {record.line}: should have query, positive and negative")
        try:
            yield Query(as_text(cells["query"]), texts_of(cells["positive"]), texts_of(cells["negative"]))
        except CellError as error:
            raise InputError(f"{path}, line {record.line}: {error}") from error


def reranking_rows(queries: list[Query]) -> Iterator[list[str]]:
    """A row for each positive text of each query: the query, that text, and all negative ones."""
    for query in queries:
        question = _usable(query.text)
        negative = list(dict.fromkeys(filter(None, map(_usable, query.negative))))
        for text in dict.fromkeys(filter(None, map(_usable, query.positive))):
            candidates = [other for other in negative if other not in (question, text)]
            if question and text != question and candidates:
                yield [question, text, *candidates]


def is_retrieval(folder: Path) -> bool:
    """Whether a task has corpus and queries of its own, as those of CQADupstack do."""
    return BeirFolder.is_in(folder)


def retrieval_rows(folder: Path, candidates: int, guard: float, seed: int) -> dict[str, list[list[str]]]:
    """By set, `validation` or `test`, a row for each query: the query, a relevant document, and others drawn at random.

    `candidates`, `guard`, `seed`: see `CandidateSampler`; the query's other relevant documents are never drawn.
    """
    source = BeirFolder(folder)
    documents = {key: text for key, text in ((key, _usable(text)) for key, text in source.documents.items()) if text}
    texts = list(dict.fromkeys(documents.values()))
    place = {text: number for number, text in enumerate(texts)}
    rows: dict[str, list[list[str]]] = {}
    for split in (split for split in source.splits if split in SETS):
        relevant: dict[str, list[int]] = {}
        for judged in source.judgements(split):
            if judged.score > 0 and judged.document in documents:
                relevant.setdefault(judged.query, []).append(place[documents[judged.document]])
        asked = {key: _usable(source.queries[key]) for key in relevant}
        everything = [*texts, *asked.values()]  # a query is compared with its candidates as well
        sampler = CandidateSampler(everything, np.arange(len(texts)), candidates, guard, seed)
        lines = rows.setdefault(SETS[split], [])
        for number, (key, question) in enumerate(asked.items()):
            members = [len(texts) + number, *dict.fromkeys(relevant[key])]
            members = [member for member in members if member == len(texts) + number or texts[member] != question]
            if question and len(members) > 1:
                again = [place[question]] if question in place else []
                drawn = [texts[text] for text in sampler.draw(number, members + again).texts.tolist()]
                if drawn:
                    lines.append([question, everything[members[1]], *drawn])
    return rows


def _usable(text: str) -> str:
    """The text on one line; an empty one where it is too long to be read."""
    text = one_line(text)
    return "" if is_too_long(text) else text
