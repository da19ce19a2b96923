"""The benchmarks: what each one measures, its contenders, and how each contender is run once."""

import json
import re
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np

from askagain.benchmarks.comparison import Benchmark, Measure
from askagain.benchmarks.finding import Finding, Peers, load_benchmark
from askagain.benchmarks.labelled_texts import LabelledTexts
from askagain.benchmarks.subprocesses import measured, run_process, seconds_until
from askagain.benchmarks.table import OURS
from askagain.corpus.cache import Cache
from askagain.corpus.files import CorpusFiles
from askagain.errors import InputError
from askagain.machine import has_gpu
from askagain.models.folder import load_encoder
from askagain.ranking.metrics import Metrics
from askagain.synthetic.dump import write_dump
from askagain.synthetic.scaled import cached_scaled

PLAIN = "the plain way"
ON_PROCESSOR = ", on the processor"  # where others are on a GPU
DIM = 384  # numbers of a vector of rung 3 and of a distilled encoder, which the peer gets as well
VECTORS = "vectors.bin"
FLOOR = "the floor of this machine"
WORDS_A_BATCH = 4_096  # of the trigram regressor, as in its experiment
SHORT_TO_LONG = 20  # short texts to encode for each long one
PLAIN_WORDS = {"lowercase": True}  # lower-case words between spaces, as the other contenders have them


@dataclass(frozen=True)
class Sizes:
    """The sizes of all benchmarks; see `configs/size`."""

    rows: int
    validation_rows: int
    candidates: int
    pool: int
    vocabulary: int
    dim: int
    batch_size: int
    steps: int
    plain_steps: int
    scored_rows: int
    texts: int
    words: int
    rounds: int
    dump_megabytes: int
    searched_texts: int
    questions: int


@dataclass(frozen=True)
class Quality:
    """What `to_quality` trains for; see `configs/benchmark.yaml`."""

    corpus: Path
    mrr: float
    distilled: bool = False
    peer_tokenizer: Path | None = None


class Benchmarks:
    """All benchmarks, on one synthetic corpus, but for those that have a corpus of the user's.

    `floors`, `word_floors`: what was measured of a step's lower bound in each round, of the DSSM and of the trigram
    regressor; see `askagain.benchmarks.jobs`.

    Args:
        sizes: of the corpus and of the runs.
        root: the folder of train.py.
        cache_dir: where the corpus is generated and kept.
        scratch: a folder for everything else.
        preprocessor: the settings of the default preprocessor.
        peer_python, searched_corpus, quality: see `configs/benchmark.yaml`.
    """

    def __init__(
        self,
        sizes: Sizes,
        root: Path,
        cache_dir: Path,
        scratch: Path,
        preprocessor: dict[str, Any],
        peer_python: Path | None,
        searched_corpus: Path | None = None,
        quality: Quality | None = None,
    ) -> None:
        self.sizes = sizes
        self.root = root
        self.scratch = scratch
        self.preprocessor = preprocessor
        self.peers = None if peer_python is None else Peers(peer_python, root / "scripts" / "benchmark_peers.py")
        self.searched_corpus = searched_corpus
        self.quality = quality
        self.cache_dir = cache_dir.resolve()
        self.floors: list[Metrics] = []  # of each round
        self.word_floors: list[Metrics] = []
        names = ("rows", "validation_rows", "candidates", "pool", "vocabulary")
        self.corpus = cached_scaled(Cache(self.cache_dir), **{name: getattr(sizes, name) for name in names})

    def benchmark(self, name: str) -> Benchmark:
        return getattr(self, f"_{name}")()

    def _train(self) -> Benchmark:
        sizes = self.sizes
        name = f"DSSM training, vocabulary {sizes.vocabulary:,}, dim {sizes.dim}, batch {sizes.batch_size:,}"
        training = {"dim": sizes.dim, "batch_size": sizes.batch_size, "steps": sizes.plain_steps}
        groups = str(self.corpus / "train.tsv")
        contenders = {
            OURS: self._our_training,
            "askagain, kernels=plain": lambda: self._our_training("kernels=plain"),
        }
        contenders |= self._peer("sentence-transformers trainer", "train", groups=groups, bf16=False, **training)
        contenders |= self._peer("sentence-transformers trainer, bf16", "train", groups=groups, bf16=True, **training)
        if has_gpu():  # which ours takes, and the peer
            contenders["askagain, dense Adam"] = lambda: self._our_training("optimizer=adam")
            contenders[OURS + ON_PROCESSOR] = lambda: self._our_training("trainer.accelerator=cpu")
        plain = PLAIN + ON_PROCESSOR if has_gpu() else PLAIN
        contenders[plain] = lambda: self._plain("train", "train.tsv", **training)
        contenders[FLOOR] = self._floor
        return Benchmark({"rate": Measure(name, "pairs/s", True)}, contenders)

    def _our_training(self, *others: str, corpus: Path | None = None) -> Metrics:
        return self._trained(
            "experiment=dssm",
            "start=random",
            "features=words",
            "preprocessor=none",
            "preprocessor.lowercase=true",
            "data.pairs=star",
            "data.validation_fraction=0.0",
            "loss.temperature=0.05",
            f"model.dim={self.sizes.dim}",
            f"data.batch_size={self.sizes.batch_size}",
            f"trainer.max_steps={self.sizes.steps}",
            *("logger=csv", "report=false"),  # no more than a bare machine has
            *others,
            corpus=corpus,
        )

    def _evaluate(self) -> Benchmark:
        sizes = self.sizes
        name = f"Hits@K, {sizes.validation_rows:,} rows of {sizes.candidates:,} candidates"

        def ours() -> Metrics:
            for kind in ("words", "features"):  # the first epoch cleans tokens and looks up features
                for entry in (self.scratch / "cache").glob(f"{kind}-*"):
                    shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
            return self._ours("evaluate", preprocessor=PLAIN_WORDS, dim=sizes.dim)

        return Benchmark(
            {
                "first": Measure(f"{name}, first epoch", "s/row", False),
                "later": Measure(f"{name}, later epochs", "s/row", False),
            },
            {OURS: ours, PLAIN: lambda: self._plain("score", "validation.tsv", dim=sizes.dim, rows=sizes.scored_rows)},
        )

    def _prepare(self) -> Benchmark:
        name = f"{self.sizes.rows:,} rows to token store, vocabulary and pairs"

        def ours() -> Metrics:
            cache = self.scratch / "prepared"
            first, again = (self._ours("prepare", cache, preprocessor=self.preprocessor) for _ in range(2))
            shutil.rmtree(cache)
            return first | {"cached": again["seconds"]}

        return Benchmark(
            {
                "seconds": Measure(name, "s", False),
                "peak": Measure(f"{name}: peak memory", "MiB", False),
                "cached": Measure(f"{name}: with the cache", "s", False),
            },
            {OURS: ours, PLAIN: lambda: self._plain("prepare", "train.tsv")},
        )

    def _encode(self) -> Benchmark:
        texts, long, words = (self.scratch / name for name in ("texts.txt", "long.txt", "words.txt"))
        with (self.corpus / "train.tsv").open(encoding="utf-8") as file:
            cells = [cell for line in islice(file, self.sizes.texts) for cell in line.rstrip("\n").split("\t")]
        texts.write_text("\n".join(cells[: self.sizes.texts]) + "\n", encoding="utf-8")
        long_texts = _long_texts(cells, max(1, self.sizes.texts // SHORT_TO_LONG))
        long.write_text("\n".join(long_texts) + "\n", encoding="utf-8")
        with (self.corpus / "train.tsv").open(encoding="utf-8") as file:
            words.write_text("\n".join(dict.fromkeys(word for line in file for word in line.split())) + "\n")

        def both(run: Callable[..., Metrics], **settings: Any) -> Metrics:
            rates = [run("encode", dim=self.sizes.dim, texts=str(path), **settings) for path in (texts, long)]
            return rates[0] | {"long": rates[1]["first"]}

        ours = partial(both, self._ours, preprocessor=PLAIN_WORDS)
        contenders: dict[str, Callable[[], Metrics]] = {OURS: ours}
        if self.peers is not None:
            for peer in ("model2vec", "sentence-transformers"):
                contenders[peer] = partial(both, self.peers.run, peer=peer, words=str(words))
        name = f"encode {len(cells[: self.sizes.texts]):,} short texts"
        return Benchmark(
            {
                "first": Measure(f"{name}, new", "texts/s", True),
                "again": Measure(f"{name}, once more", "texts/s", True),
                "long": Measure(f"encode {len(long_texts):,} texts of 100 to 300 words, new", "texts/s", True),
            },
            contenders,
        )

    def _trigram(self) -> Benchmark:
        vectors = self.scratch / VECTORS
        sizes = self.sizes
        self._ours("write_vectors", preprocessor=PLAIN_WORDS, dim=sizes.dim, words=sizes.words, path=str(vectors))
        plain = {"vectors": str(vectors), "steps": 10 * self.sizes.plain_steps}
        ours = ["experiment=trigram", "vectors=file", f"vectors.path={vectors}", "words=all", "trainer.max_epochs=3"]
        ours += [f"data.batch_size={WORDS_A_BATCH}"]
        name = f"trigram regressor, {self.sizes.words:,} words, dim {self.sizes.dim}"
        return Benchmark(
            {"rate": Measure(name, "words/s", True)},
            {
                OURS: lambda: self._trained(*ours),
                "EmbeddingBag, dense Adam, Python collator": lambda: _job("plain_trigram", plain),
                FLOOR: self._word_floor,
            },
        )

    def _startup(self) -> Benchmark:
        train = [sys.executable, self.root / "train.py"]
        cache = self.scratch / "sample-cache"
        sample = [
            *train,
            "experiment=dssm",
            "start=random",
            "trainer.max_steps=1",
            f"hydra.run.dir={self.scratch / 'sample'}",
        ]

        def ours() -> Metrics:
            shutil.rmtree(cache, ignore_errors=True)
            batch, again = (seconds_until(sample, "first batch", cache) for _ in range(2))
            return {"help": run_process([*train, "--help"]).seconds, "batch": batch, "again": again}

        return Benchmark(
            {
                "help": Measure("train.py --help", "s", False),
                "batch": Measure("train.py on the built-in sample, first run: first batch", "s", False),
                "again": Measure("train.py on the built-in sample, with the cache: first batch", "s", False),
            },
            {OURS: ours},
        )

    def _to_quality(self) -> Benchmark:
        if self.quality is None:
            raise InputError("benchmarks=to_quality: needs quality.corpus=DIR, a corpus folder to train on")
        corpus, mrr, tokenizer = self.quality.corpus, self.quality.mrr, self.quality.peer_tokenizer
        train = [sys.executable, self.root / "train.py", "data=tsv", f"data.dir={corpus}"]
        train += [
            "start=random",
            "logger=csv",
            "report=false",
            f"hydra.run.dir={self.scratch / 'quality'}",
        ]
        cache = self.scratch / "quality-cache"

        def is_good(line: str) -> bool:
            ranked = re.search(r"epoch \d+: .*\bmrr (\d\.\d+)", line)
            return ranked is not None and float(ranked[1]) >= mrr

        def ours() -> Metrics:
            shutil.rmtree(cache, ignore_errors=True)
            new, again = (seconds_until(train, is_good, cache) for _ in range(2))
            return {"new": new, "again": again}

        def distilled() -> Metrics:  # by the teacher's vectors, which are there after the first command
            command = [*train, "experiment=distill", f"paths.cache_dir={self.cache_dir}"]
            run_process([*command, "trainer.max_steps=1"])
            return {"again": seconds_until(command, is_good)}

        contenders: dict[str, Callable[[], Metrics]] = {OURS: ours}
        if self.quality.distilled:
            contenders["askagain, distilled"] = distilled
        if self.peers is not None:
            settings = {"groups": str(corpus / "train.tsv"), "validation": str(corpus / "validation.tsv"), "mrr": mrr}
            settings |= {"dim": DIM, "tokenizer": None if tokenizer is None else str(tokenizer)}
            command = self.peers.command("to_quality", **settings)

            def peer() -> Metrics:
                seconds = seconds_until(command, '"seconds"')
                return {"new": seconds, "again": seconds}

            contenders["sentence-transformers trainer"] = peer
        name = f"from Enter to an epoch with MRR {mrr:.2f}"
        return Benchmark(
            {"new": Measure(name, "s", False), "again": Measure(f"{name}, with the cache", "s", False)}, contenders
        )

    def _convert(self) -> Benchmark:
        dump, out = self.scratch / "dump", self.scratch / "converted"
        size = self.sizes.dump_megabytes
        write_dump(dump, size)
        files = [dump / "Posts.xml", dump / "PostLinks.xml"]

        def ours() -> Metrics:
            verb = ["-m", "askagain.cli.main", "convert", "stackexchange", *files, "-o", out]
            finished = run_process([sys.executable, *verb])
            shutil.rmtree(out)
            return {"rate": size / finished.seconds, "peak": finished.peak_bytes / 2**20}

        def plain() -> Metrics:
            metrics = measured([sys.executable, "-m", "askagain.benchmarks.plain_way", "convert", files[0], "{}"])
            return {"rate": size / metrics["seconds"], "peak": metrics["peak"]}

        name = f"a dump of {size:,} MB to a corpus folder, with bodies"
        return Benchmark(
            {"rate": Measure(name, "MB/s", True), "peak": Measure(f"{name}: peak memory", "MiB", False)},
            {OURS: ours, PLAIN: plain},
        )

    def _floor(self) -> Metrics:
        sizes = self.sizes
        floor = self._ours("floor", preprocessor=PLAIN_WORDS, dim=sizes.dim, batch=sizes.batch_size)
        self.floors.append(floor)
        return {"rate": sizes.batch_size / (floor["matmul_seconds"] + floor["bytes_seconds"])}

    def _word_floor(self) -> Metrics:
        floor = _job("word_floor", {"vectors": str(self.scratch / VECTORS), "batch": WORDS_A_BATCH})
        self.word_floors.append(floor)
        return {"rate": WORDS_A_BATCH / floor["bytes_seconds"]}

    def _search(self) -> Benchmark:
        return self._finding.search()

    def _duplicates(self) -> Benchmark:
        return self._finding.duplicates()

    def _load(self) -> Benchmark:
        return load_benchmark(self.sizes.vocabulary, self.sizes.dim, self._folder("loaded"), self.peers)

    @cached_property
    def _finding(self) -> Finding:
        """Search and duplicates, with an encoder that is trained here."""
        corpus, sizes = self.searched_corpus, self.sizes
        files = CorpusFiles.locate(str(corpus or self.corpus))
        texts = sizes.searched_texts if corpus is None else None
        labelled = LabelledTexts.read(files, sizes.questions, texts)
        self._our_training(corpus=corpus)
        return Finding(labelled, load_encoder(self.scratch / "run"), self._folder("finding"), self.peers)

    def _folder(self, name: str) -> Path:
        folder = self.scratch / name
        folder.mkdir()
        return folder

    def _trained(self, *overrides: str, corpus: Path | None = None) -> Metrics:
        """Examples a second in the last epoch of a run of train.py; `corpus`: another than the synthetic one."""
        train = [sys.executable, self.root / "train.py", "data=tsv", f"data.dir={corpus or self.corpus}"]
        run_process([*train, *overrides, *self._paths()])
        metrics = json.loads((self.scratch / "run" / "metrics.json").read_text())
        return {"rate": metrics["train/examples_per_second"]}

    def _paths(self) -> list[str]:
        return [f"hydra.run.dir={self.scratch / 'run'}", f"paths.cache_dir={self.scratch / 'cache'}"]

    def _ours(self, job: str, cache: Path | None = None, **settings: Any) -> Metrics:
        return _job(job, {"corpus": str(self.corpus), "cache": str(cache or self.scratch / "cache"), **settings})

    def _plain(self, job: str, file: str, **settings: Any) -> Metrics:
        """The measurements of one of `askagain.benchmarks.plain_way` on a file of the corpus."""
        plain_way = [sys.executable, "-m", "askagain.benchmarks.plain_way"]
        return measured([*plain_way, job, self.corpus / file, json.dumps(settings)])

    def _peer(self, name: str, job: str, **settings: Any) -> dict[str, Callable[[], Metrics]]:
        """A job of `scripts/benchmark_peers.py` as a contender, where there is a Python to run it."""
        return {} if self.peers is None else {name: partial(self.peers.run, job, **settings)}


def _long_texts(cells: Sequence[str], count: int) -> list[str]:
    """Texts of 100 to 300 words, of those of the cells in their order, over and over."""
    words = cycle(word for cell in cells for word in cell.split())
    lengths = np.random.default_rng(0).integers(100, 301, count).tolist()
    return [" ".join(islice(words, length)) for length in lengths]


def _job(name: str, settings: dict[str, Any]) -> Metrics:
    """The measurements of one of `askagain.benchmarks.jobs`."""
    return measured([sys.executable, "-m", "askagain.benchmarks.jobs", name, json.dumps(settings)])
