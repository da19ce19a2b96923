"""Benchmark jobs of search, duplicates and loading, each run in a process of its own.

`python -m askagain.benchmarks.finding_jobs JOB ARGUMENTS`; ARGUMENTS is a JSON object. Prints the measurements as JSON,
and writes what was found as files of row numbers. Each job imports what it needs before its clock starts: that of
loading starts outside.
"""

import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

SINGLE_QUESTIONS = 200  # that are asked one by one


def search(encoder: str, texts: str, questions: str, k: int, out: str) -> dict[str, float]:
    """Loads an encoder, indexes texts and answers questions, all at once and then one by one.

    Args:
        encoder: its folder.
        texts: a file with a text a line.
        questions: a file with a question a line.
        k: answers to a question.
        out: a folder for the index and for `hits.npy`, [questions, k] int32 rows.

    Returns:
        `seconds` from loading to the last answer, questions a second once the index is made (`rate`), and the median
        milliseconds of a single question (`latency`).
    """
    import numpy as np

    from askagain.models.folder import load_encoder
    from askagain.search.index_writer import IndexWriter
    from askagain.search.nearest import faiss
    from askagain.search.questions import composed

    faiss()
    corpus, asked = _lines(texts), _lines(questions)
    began = time.perf_counter()
    index = IndexWriter.create(Path(out) / "index", load_encoder(encoder), composed(corpus)).index
    indexed = time.perf_counter()
    hits = index.search(asked, k)
    answered = time.perf_counter()
    single = []
    for question in asked[:SINGLE_QUESTIONS]:
        asked_at = time.perf_counter()
        index.search([question], k)
        single.append(time.perf_counter() - asked_at)
    rows = [[int(hit.id) - 1 for hit in own] for own in hits]  # ids count from 1
    np.save(Path(out) / "hits.npy", np.array(rows, dtype=np.int32))
    return {
        "seconds": answered - began,
        "rate": len(asked) / (answered - indexed),
        "latency": 1e3 * statistics.median(single),
    }


def duplicates(encoder: str, texts: str, thresholds: list[float], in_groups: bool, out: str) -> dict[str, float]:
    """Seconds from loading an encoder to all pairs of texts at the first threshold, or to their groups.

    Args:
        encoder: its folder.
        texts: a file with a text a line.
        thresholds: cosines, ascending; what each one finds is written.
        in_groups: pairs of the kept text of a group with each of its other texts, and no others.
        out: a folder for `0.npy` and so on, one for each threshold: [pairs, 2] int32 rows.
    """
    import numpy as np
    import scipy.sparse  # noqa: F401, which encoders import at their first texts

    from askagain.duplicates.groups import make_groups
    from askagain.duplicates.similar_pairs import SimilarPairs, similar_pairs
    from askagain.models.folder import load_encoder

    def rows_of(pairs: SimilarPairs) -> np.ndarray:
        if not in_groups:
            return np.stack([pairs.first, pairs.second], axis=1)
        members = [(group.kept, member) for group in make_groups(pairs) for member in group.members]
        return np.array(members, dtype=np.int32).reshape(-1, 2)

    corpus = _lines(texts)
    began = time.perf_counter()
    vectors = load_encoder(encoder).encode(corpus, normalize=True)
    pairs = similar_pairs(vectors, thresholds[0])
    rows = rows_of(pairs)
    seconds = time.perf_counter() - began
    for place, threshold in enumerate(thresholds):
        np.save(Path(out) / f"{place}.npy", rows_of(pairs.at_least(threshold)) if place else rows)
    return {"seconds": seconds}


def load(encoder: str, text: str, memory_map: bool) -> dict[str, float]:
    """The length of the vector of a text, by an encoder folder; the process is timed from outside."""
    import askagain

    return {"dim": askagain.load(encoder, memory_map=memory_map).encode([text]).shape[1]}


def _lines(path: str) -> list[str]:
    return Path(path).read_text(encoding="utf-8").removesuffix("\n").split("\n")


JOBS: dict[str, Callable[..., dict[str, float]]] = {job.__name__: job for job in (search, duplicates, load)}


if __name__ == "__main__":
    print(json.dumps(JOBS[sys.argv[1]](**json.loads(sys.argv[2]))), flush=True)
