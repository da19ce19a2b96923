"""The benchmarks of search, duplicates and loading: all contenders have the same encoder, each in its own format."""

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from askagain.benchmarks.comparison import Benchmark, Measure
from askagain.benchmarks.labelled_texts import LabelledTexts
from askagain.benchmarks.subprocesses import measured, seconds_until
from askagain.benchmarks.table import OURS
from askagain.export.formats import export
from askagain.export.request import Request
from askagain.models.bag_encoder import BagEncoder
from askagain.ranking.metrics import Metrics
from askagain.search.nearest import recall_of
from askagain.synthetic.scaled import invented_words
from askagain.text.features import Features
from askagain.text.ngrams import NgramTokenizer
from askagain.text.preprocessor import TextPreprocessor
from askagain.text.vocabulary import WordVocabulary

ANSWERS = 10  # to a question
THRESHOLDS = [round(0.5 + 0.05 * step, 2) for step in range(10)]  # of which each contender has its best
COMPARED_AT_A_TIME = 100  # questions
EQUAL_DIGITS = 5  # of cosines; float32 sums in another order differ by less
JOBS = "askagain.benchmarks.finding_jobs"


class EncoderFolders:
    """An encoder as a folder of its own, and as one that sentence-transformers and model2vec load.

    `static` is None where nothing but askagain is measured.
    """

    def __init__(self, encoder: BagEncoder, folder: Path, for_peers: bool) -> None:
        self.own = folder / "encoder"
        encoder.save(self.own)
        self.static = folder / "static" if for_peers else None
        if self.static is not None:
            export("sentence-transformers", Request(self.own, encoder), self.static)


@dataclass(frozen=True)
class Peers:
    """Runs jobs of `scripts/benchmark_peers.py`; `python` has the packages."""

    python: Path
    script: Path

    def command(self, job: str, **settings: Any) -> list[object]:
        return [self.python, self.script, job, json.dumps(settings)]

    def run(self, job: str, **settings: Any) -> Metrics:
        return measured(self.command(job, **settings))


class Finding:
    """Search and duplicates among labelled texts.

    Args:
        labelled: what is searched and compared.
        encoder: of all contenders; it knows single words only, so that every format gives its vectors.
        scratch: an existing folder for all files.
        peers: None to measure nothing but askagain.
    """

    def __init__(self, labelled: LabelledTexts, encoder: BagEncoder, scratch: Path, peers: Peers | None) -> None:
        self._labelled = labelled
        self._encoder = encoder
        self._peers = peers
        self._folders = EncoderFolders(encoder, scratch, peers is not None)
        self._out = scratch / "found"
        self._out.mkdir()
        self._texts, self._questions = scratch / "texts.txt", scratch / "questions.txt"
        for path, lines in ((self._texts, labelled.texts), (self._questions, labelled.questions)):
            path.write_text("\n".join(lines) + "\n", encoding="utf-8")

    def search(self) -> Benchmark:
        """Questions that are answered among all texts, beside `semantic_search` of sentence-transformers."""
        files = {"texts": str(self._texts), "questions": str(self._questions), "out": str(self._out)}
        ours = partial(_ours, "search", encoder=str(self._folders.own), k=ANSWERS, **files)
        contenders: dict[str, Callable[[], Metrics]] = {OURS: partial(self._answered, ours)}
        if self._peers is not None:
            theirs = partial(self._peers.run, "search", model=str(self._folders.static), k=ANSWERS, **files)
            contenders["sentence-transformers"] = partial(self._answered, theirs)
        name = f"search among {len(self._labelled.texts):,} texts"
        whole = f"{name}: load, index and answer {len(self._labelled.questions):,} questions"
        return Benchmark(
            {
                "end_to_end": Measure(whole, "questions/s", True),
                "rate": Measure(f"{name}: answers", "questions/s", True),
                "latency": Measure(f"{name}: a single question", "ms", False),
                "recall": Measure(f"{name}: recall@{ANSWERS}", "share", True),
            },
            contenders,
        )

    def _answered(self, run: Callable[[], Metrics]) -> Metrics:
        metrics = run()
        recall = recall_at(np.load(self._out / "hits.npy"), *self._vectors())
        return metrics | {"recall": recall, "end_to_end": len(self._labelled.questions) / metrics["seconds"]}

    def _vectors(self) -> tuple[np.ndarray, np.ndarray]:
        """The unit vectors of the questions and of the texts."""
        return (
            self._encoder.encode(self._labelled.questions, normalize=True),
            self._encoder.encode(self._labelled.texts, normalize=True),
        )

    def duplicates(self) -> Benchmark:
        """All pairs, beside `paraphrase_mining` of sentence-transformers, and groups, beside SemHash.

        Each contender runs at the cosine of `THRESHOLDS` where its own F1 is best, which is found in its first round.
        """
        own = {"encoder": str(self._folders.own)}
        pairs = self._at_best_threshold("pairs", partial(_ours, "duplicates", in_groups=False, **own))
        groups = self._at_best_threshold("groups", partial(_ours, "duplicates", in_groups=True, **own))
        contenders: dict[str, Callable[[], Metrics]] = {OURS: lambda: pairs() | groups()}
        if self._peers is not None:
            for name, job, kind in (
                ("sentence-transformers", "paraphrase_mining", "pairs"),
                ("SemHash", "semhash", "groups"),
            ):
                theirs = partial(self._peers.run, job, model=str(self._folders.static))
                contenders[name] = self._at_best_threshold(kind, theirs)
        measures = {}
        for kind, what in (("pairs", "all pairs of duplicates"), ("groups", "groups of duplicates")):
            name = f"{what} among {len(self._labelled.texts):,} texts"
            measures[f"{kind}_seconds"] = Measure(name, "s", False)
            for quality in ("precision", "recall", "F1"):
                measures[f"{kind}_{quality}"] = Measure(f"{name}: {quality}", "share", True)
        return Benchmark(measures, contenders)

    def _at_best_threshold(self, kind: str, job: Callable[..., Metrics]) -> Callable[[], Metrics]:
        """A contender that gives seconds, precision and recall, with `kind` in front of their names."""

        def found_at(thresholds: Sequence[float]) -> list[Metrics]:
            metrics = job(texts=str(self._texts), thresholds=thresholds, out=str(self._out))
            return [metrics | self._quality(kind, place) for place in range(len(thresholds))]

        @cache
        def best_threshold() -> float:
            scores = [metrics["F1"] for metrics in found_at(THRESHOLDS)]
            return THRESHOLDS[int(np.argmax(scores))]

        def run() -> Metrics:
            (metrics,) = found_at([best_threshold()])
            return {f"{kind}_{key}": value for key, value in metrics.items()}

        return run

    def _quality(self, kind: str, place: int) -> Metrics:
        """How right the pairs are that a contender has just written for a threshold."""
        path = self._out / f"{place}.npy"
        labelled = self._labelled
        wanted = labelled.duplicate_pairs if kind == "pairs" else labelled.redundant_texts
        metrics = labelled.quality(np.load(path), wanted)
        path.unlink()
        return metrics | {"F1": f1(metrics)}


def load_benchmark(words: int, dim: int, scratch: Path, peers: Peers | None) -> Benchmark:
    """From a new process to a first vector, for an encoder of random vectors, beside model2vec."""
    generator = np.random.default_rng(0)
    known = invented_words(words, generator)
    table = generator.standard_normal((words, dim)).astype(np.float32)
    features = Features("words", WordVocabulary(known), NgramTokenizer())
    encoder = BagEncoder(TextPreprocessor(lowercase=True), features, table, normalize=True)
    folders = EncoderFolders(encoder, scratch, peers is not None)
    text = " ".join(known[:: words // 5])

    def ours(memory_map: bool) -> float:
        settings = {"encoder": str(folders.own), "text": text, "memory_map": memory_map}
        return seconds_until(_own_command("load", **settings), '"dim"')

    def theirs(peers: Peers) -> Metrics:
        seconds = seconds_until(peers.command("load", model=str(folders.static), text=text), '"dim"')
        return {"read": seconds, "mapped": seconds}

    contenders: dict[str, Callable[[], Metrics]] = {OURS: lambda: {"read": ours(False), "mapped": ours(True)}}
    if peers is not None:
        contenders["model2vec"] = partial(theirs, peers)
    name = f"a new process to a first vector, {words:,} words, dim {dim}"
    return Benchmark(
        {"read": Measure(name, "s", False), "mapped": Measure(f"{name}, ours memory-mapped", "s", False)}, contenders
    )


def recall_at(hits: np.ndarray, questions: np.ndarray, texts: np.ndarray) -> float:
    """The share of the nearest texts of each question that are among its hits, where equally near ones count alike.

    `hits`: [questions, k] rows of `texts`. `questions`, `texts`: unit vectors, [n, dim].
    """
    k = hits.shape[1]
    recalls = []
    for start in range(0, len(questions), COMPARED_AT_A_TIME):
        block = slice(start, start + COMPARED_AT_A_TIME)
        cosines = np.round(questions[block] @ texts.T, EQUAL_DIGITS)
        nearest = -np.sort(-np.partition(cosines, -k, axis=1)[:, -k:], axis=1)
        recalls.append(recall_of(np.take_along_axis(cosines, hits[block], axis=1), nearest) * len(cosines))
    return sum(recalls) / len(questions)


def f1(metrics: Metrics) -> float:
    """The harmonic mean of precision and recall."""
    precision, recall = metrics["precision"], metrics["recall"]
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def _ours(job: str, **settings: Any) -> Metrics:
    """The measurements of one of `askagain.benchmarks.finding_jobs`."""
    return measured(_own_command(job, **settings))


def _own_command(job: str, **settings: Any) -> list[object]:
    return [sys.executable, "-m", JOBS, job, json.dumps(settings)]
