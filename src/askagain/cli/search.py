"""`askagain search`: the questions of an index that are closest to a new one."""

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from askagain.cli.corpora import PATH

if TYPE_CHECKING:
    from askagain.search.index import Hit, Index

CONTROLS = re.compile("[\\x00-\\x1f\\x7f-\\x9f]")  # a terminal would obey them
BATCH = 256  # questions of a file that are searched together


@click.command()
@click.argument("folder", type=PATH, metavar="INDEX")
@click.argument("question", required=False)
@click.option("-k", type=click.IntRange(1), default=10, show_default=True, help="How many to show.")
@click.option("--questions", type=PATH, metavar="FILE", help="Ask every line of a file; - for standard input.")
@click.option("--text", "column", metavar="COLUMN", help="The column of --questions with the text.")
@click.option("--explain", is_flag=True, help="Show which words carried each match.")
@click.option("--hybrid", is_flag=True, help="Fuse with the ranker that the index was built with.")
@click.option(
    "--rerank", metavar="MODEL", help="Let a sentence-transformers model or a cross-encoder order the best 50."
)
@click.option("--json", "as_json", is_flag=True, help="Print a line of JSON for each question.")
def search(
    folder: Path,
    question: str | None,
    k: int,
    questions: Path | None,
    column: str | None,
    explain: bool,
    hybrid: bool,
    rerank: str | None,
    as_json: bool,
) -> None:
    """Find the questions of an index that ask the same.

    Where the index has learned thresholds (see askagain threshold), the probability of being a duplicate is shown
    beside the cosine.

    \b
    Examples:
      askagain search index "how do i quit vim"
      askagain search index "how do i quit vim" -k 3 --explain
      askagain search index --questions new.txt --json > answers.jsonl
    """
    from askagain.errors import InputError
    from askagain.search.index import Index

    if (question is None) == (questions is None):
        raise InputError("give a question, or a file of them with --questions")
    if column is not None and (questions is None or str(questions) == "-"):
        raise InputError("--text is the column of a table; give the table with --questions")
    if question is not None and not question.isprintable() and not is_utf8(question):
        raise InputError("the question is not UTF-8; convert it")
    opened = Index(folder)
    asked = [question] if question is not None else _asked(questions, column)
    answer = _Answers(opened, k, hybrid, rerank, explain)
    for start in range(0, len(asked), BATCH):
        block = [one for one in asked[start : start + BATCH] if one is not None]
        for one, hits in zip(block, answer(block), strict=True):
            if as_json:
                _print_json(one, hits)
            else:
                _print_table(one, hits, show_question=questions is not None)


class _Answers:
    """Searches as the options say; a hit is a record of its figures."""

    def __init__(self, index: "Index", k: int, hybrid: bool, rerank: str | None, explain: bool) -> None:
        from askagain.evaluation.thresholds import Thresholds
        from askagain.search.index_list import ENCODER

        self._index, self._k, self._hybrid, self._explain = index, k, hybrid, explain
        self._thresholds: Thresholds | None = Thresholds.load(index.folder / ENCODER)
        self._reranker = None
        if rerank is not None:
            from askagain.models.reranker import Reranker

            self._reranker = Reranker(rerank)

    def __call__(self, questions: list[str]) -> list[list[dict[str, Any]]]:
        from askagain.search.reranking import rerank

        if self._reranker is None:
            found = self._index.search(questions, self._k, self._hybrid)
        else:
            found = rerank(self._index, self._reranker, questions, self._k, self._hybrid)
        return [self._records(question, hits) for question, hits in zip(questions, found, strict=True)]

    def _records(self, question: str, hits: "list[Hit]") -> list[dict[str, Any]]:
        from askagain.search.answers import because, hit_records

        is_cosine = not self._hybrid and self._reranker is None
        records = hit_records(hits, self._thresholds if is_cosine else None)
        if self._explain:
            for record, parts in zip(records, because(self._index.encoder, question, hits), strict=True):
                record["because"] = parts
        return records


def is_utf8(text: str) -> bool:
    """Whether a text has no halves of characters, as words of a command line may."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _asked(path: Path | None, column: str | None) -> list[str]:
    from askagain.errors import InputError
    from askagain.search.questions import read_texts

    if str(path) != "-":
        return read_texts(Path(str(path)), column)
    try:
        lines = [line.strip() for line in sys.stdin.buffer.read().decode("utf-8-sig").split("\n")]
    except UnicodeDecodeError as error:
        raise InputError("standard input is not UTF-8; convert it") from error
    asked = [line for line in lines if line]
    if not asked:
        raise InputError("there is no question in standard input")
    return asked


def _print_json(question: str, hits: list[dict[str, Any]]) -> None:
    import json

    click.echo(json.dumps({"question": question, "hits": hits}, ensure_ascii=False))


def _print_table(question: str, hits: list[dict[str, Any]], show_question: bool) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    if show_question:
        console.print(Text(CONTROLS.sub(" ", question), style="bold"))
    if not hits:
        console.print("  nothing found", markup=False)
        return
    names = [name for name in hits[0] if name != "because"]
    table = Table(*names, *(["because"] if "because" in hits[0] else []), box=None, pad_edge=False)
    for hit in hits:
        cells = [f"{hit[name]:.4f}" if isinstance(hit[name], float) else hit[name] for name in names]
        if "because" in hit:
            cells.append(", ".join(_said(part) for part in hit["because"]))
        table.add_row(*(Text(CONTROLS.sub(" ", cell)) for cell in cells))
    console.print(table)


def _said(part: dict[str, Any]) -> str:
    same = part["question"] == part["text"]
    return f"{part['question']}{'' if same else ' ~ ' + part['text']} {part['score']:.2f}"
