"""Puts `askagain serve` under load and through faults, and counts what came of it.

`python scripts/serve_trials.py load --titles titles.txt --encoder RUN` indexes the titles, lets 50 people type while a
writer adds 100 questions a second, and prints how long answers took and how many questions were lost. `soak` is a long
load in which as many questions are removed as are added. `kill` kills the server again and again while questions are
added. `abuse` opens slow, endless and malformed connections while people type. `beside` asks one question after the
other of the server, of a loop over a sentence-transformers model and of BM25. Status 1 if something was lost, or an
answer failed.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

import askagain
from askagain.benchmarks.serving import Load, LoadResult, lost, put_under_load, server_process
from askagain.errors import InputError
from askagain.search.index import Index
from askagain.search.index_writer import IndexWriter
from askagain.search.lexical_terms import make_ranker, question_terms, term_scores
from askagain.search.questions import QuestionColumns, read_questions
from askagain.torture.server import abused, killed

HELD_OUT = 500  # questions that people type
FIFTHS = 5


def main() -> int:
    """Runs what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("trial", choices=list(TRIALS))
    parser.add_argument("--titles", type=Path, required=True, help="a file of questions, one a line")
    parser.add_argument("--encoder", type=Path, required=True, help="a run folder or an encoder folder")
    parser.add_argument("--people", type=int, default=50, help="who type at the same time [50]")
    parser.add_argument("--added", type=float, default=100, help="questions a second that are added [100]")
    parser.add_argument("--seconds", type=float, default=60, help="that the load lasts [60]")
    parser.add_argument("--kills", type=int, default=20, help="of the trial kill [20]")
    parser.add_argument("--model", default="sentence-transformers/all-MiniLM-L6-v2", help="of the trial beside")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        return TRIALS[arguments.trial](arguments, Path(folder))


def _index(arguments: argparse.Namespace, folder: Path) -> tuple[Path, list[str]]:
    """An index of the titles but some, which people type."""
    questions = list(read_questions(arguments.titles, QuestionColumns()))
    order = np.random.default_rng(0).permutation(len(questions))
    held_out = set(order[: min(HELD_OUT, len(questions) // 2)].tolist())
    kept = [question for place, question in enumerate(questions) if place not in held_out]
    IndexWriter.create(folder / "index", askagain.load(arguments.encoder), kept)
    print(f"index: {len(kept):,} questions of {arguments.titles}")
    return folder / "index", [questions[place].text for place in sorted(held_out)]


def _load(arguments: argparse.Namespace, folder: Path, keeps: int | None = None) -> int:
    index, typed = _index(arguments, folder)
    with server_process([index], folder / "token") as server:
        print(f"answers after {server.seconds:.1f} s")
        load = Load(arguments.people, arguments.seconds, typed, arguments.added, keeps)
        result = put_under_load(server.port, load)
    return _report(arguments, index, result)


def _soak(arguments: argparse.Namespace, folder: Path) -> int:
    return _load(arguments, folder, keeps=2_000)


def _kill(arguments: argparse.Namespace, folder: Path) -> int:
    index, typed = _index(arguments, folder)
    result = killed(index, folder / "token", typed, arguments.kills, arguments.added)
    print(f"killed {arguments.kills} times while {arguments.added:g} questions a second were added")
    return _report(arguments, index, result, may_fail=True)


def _abuse(arguments: argparse.Namespace, folder: Path) -> int:
    index, typed = _index(arguments, folder)
    with server_process([index], folder / "token") as server:
        load = Load(arguments.people, arguments.seconds, typed, arguments.added)
        result, opened = abused(server.port, load)
    print(f"{opened:,} slow, endless and malformed connections meanwhile")
    return _report(arguments, index, result)


def _beside(arguments: argparse.Namespace, folder: Path) -> int:
    index, typed = _index(arguments, folder)
    with server_process([index], None) as server:
        one = put_under_load(server.port, Load(1, arguments.seconds, typed))
        many = put_under_load(server.port, Load(arguments.people, arguments.seconds, typed))
    texts = [question.encoded for question in Index(index).questions()]
    asked = [question[: 1 + place % len(question)] for place, question in enumerate(typed)][:200]
    rows = [
        ("askagain serve over HTTP, one person", one.percentile(50), one.percentile(95)),
        (f"the same, {arguments.people} people", many.percentile(50), many.percentile(95)),
        (f"a loop over {arguments.model}", *_percentiles(_sentence_transformers(arguments.model, texts), asked)),
        ("a loop over BM25", *_percentiles(_bm25(index, texts), asked)),
    ]
    table = Table("a question in ms", "50 % within", "95 % within")
    for name, half, most in rows:
        table.add_row(name, f"{half:.1f}", f"{most:.1f}")
    Console(width=100).print(table)
    return int(bool(one.failures) or bool(many.failures))


def _percentiles(ask: Callable[[str], object], questions: Sequence[str]) -> tuple[float, float]:
    """The times within which half and 95 % of the answers come, in ms."""
    milliseconds = []
    for question in questions:
        start = time.perf_counter()
        ask(question)
        milliseconds.append((time.perf_counter() - start) * 1e3)
    return float(np.percentile(milliseconds, 50)), float(np.percentile(milliseconds, 95))


def _sentence_transformers(model: str, texts: Sequence[str]) -> Callable[[str], object]:
    """What its documentation shows: encode the question, and search all vectors for it."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.util import semantic_search

    loaded = SentenceTransformer(model)
    vectors = loaded.encode(list(texts), convert_to_tensor=True, show_progress_bar=sys.stderr.isatty())
    return lambda question: semantic_search(loaded.encode([question], convert_to_tensor=True), vectors, top_k=10)


def _bm25(index: Path, texts: Sequence[str]) -> Callable[[str], object]:
    """The scores of all questions, and the best ten of them."""
    ranker = make_ranker("bm25", Index(index).encoder.preprocessor)
    ranker.fit(texts)
    candidates = term_scores(ranker, texts)

    def ask(question: str) -> object:
        terms, weights = question_terms(ranker, question)
        scores = candidates[:, terms] @ weights
        return np.argpartition(-scores, 10)[:10]

    return ask


def _report(arguments: argparse.Namespace, index: Path, result: LoadResult, may_fail: bool = False) -> int:
    missing = lost(index, result)
    if result.latencies:
        shown = ", ".join(f"{percent} % within {result.percentile(percent):.1f} ms" for percent in (50, 95, 99, 100))
        rate = len(result.latencies) / arguments.seconds
        print(f"{arguments.people} people typing: {len(result.latencies):,} answers ({rate:.0f}/s), {shown}")
    if result.write_latencies:
        shown = ", ".join(f"{percent} % within {result.percentile(percent, True):.1f} ms" for percent in (50, 95, 100))
        print(f"added: {len(result.write_latencies):,} questions, {shown}; removed again: {result.removed:,}")
    if result.memory:
        sizes = [size / 2**20 for _, size in result.memory]
        shown = ", ".join(f"{np.median(part):.0f}" for part in np.array_split(sizes, min(FIFTHS, len(sizes))))
        print(f"memory by fifths of the time: {shown} MiB")
    print(f"failures: {result.failures or 'none'}; lost: {len(missing)}")
    return int(bool(missing) or (bool(result.failures) and not may_fail))


TRIALS: dict[str, Callable[[argparse.Namespace, Path], int]] = {
    "load": _load,
    "soak": _soak,
    "kill": _kill,
    "abuse": _abuse,
    "beside": _beside,
}

if __name__ == "__main__":
    try:
        sys.exit(main())
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
