"""Benchmark jobs of askagain, each run in a process of its own, which prints its measurements as JSON.

`python -m askagain.benchmarks.jobs JOB ARGUMENTS`; ARGUMENTS is a JSON object.
"""

import json
import statistics
import sys
import time
import timeit
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from askagain.benchmarks.training_cost import padded
from askagain.corpus.cache import Cache
from askagain.corpus.corpus import Corpus
from askagain.corpus.files import CorpusFiles
from askagain.machine import fastest_precision, has_gpu
from askagain.models.bag_encoder import BagEncoder
from askagain.ranking.metrics import Metrics
from askagain.text.features import FeatureSettings
from askagain.text.preprocessor import TextPreprocessor

FEATURES = FeatureSettings("words")


def prepare(corpus: Corpus) -> Metrics:
    """Seconds from the TSV file to token store, vocabulary and all pairs, as the DSSM's datamodule prepares them."""
    from askagain.training.data.duplicates import DuplicatesDataModule

    began = time.perf_counter()
    data = DuplicatesDataModule(corpus, FEATURES, pairs="all", validation_fraction=0.0, batch_size=2048)
    bags = corpus.groups.features(corpus.preprocessor, data.features)
    pairs = len(data.train_examples)
    return {"seconds": time.perf_counter() - began, "pairs": pairs, "words": data.features.size, "texts": len(bags)}


def evaluate(corpus: Corpus, dim: int) -> Metrics:
    """Seconds a row from the token store to the metrics, for the first evaluation and for later ones."""
    from askagain.evaluation.evaluate import ranking_metrics

    encoder = _encoder(corpus, dim)
    ranking = corpus.ranking("validation")
    seconds = []
    for _ in range(3):
        began = time.perf_counter()
        ranking_metrics(encoder, ranking, [1, 5, 10, 100, 500], "expected")
        seconds.append(time.perf_counter() - began)
    rows = len(ranking.rows)
    return {"first": seconds[0] / rows, "later": min(seconds[1:]) / rows, "rows": rows, "texts": len(ranking.texts)}


def encode(corpus: Corpus, dim: int, texts: str) -> Metrics:
    """Texts a second from strings to vectors: the lines of a file when they are new, and once more."""
    encoder = _encoder(corpus, dim)
    lines = Path(texts).read_text(encoding="utf-8").splitlines()
    encoder.encode(["a first text, which starts the libraries"])
    rates = []
    for _ in range(2):
        began = time.perf_counter()
        encoder.encode(lines)
        rates.append(len(lines) / (time.perf_counter() - began))
    return {"first": rates[0], "again": rates[1]}


def write_vectors(corpus: Corpus, dim: int, words: int, path: str) -> Metrics:
    """Writes random vectors of the most frequent words of the corpus in word2vec's binary format."""
    chosen = corpus.groups.count_features(corpus.preprocessor, FEATURES).vocabulary.words[:words]
    vectors = np.random.default_rng(0).standard_normal((len(chosen), dim)).astype(np.float32)
    with Path(path).open("wb") as file:
        file.write(f"{len(chosen)} {dim}\n".encode())
        for word, vector in zip(chosen, vectors, strict=True):
            file.write(f"{word} ".encode() + vector.tobytes())
    return {"words": len(chosen)}


def plain_trigram(vectors: str, steps: int) -> Metrics:
    """Words a second of a plain training loop: a Python collator, EmbeddingBag, dense Adam, batches of 128 words."""
    from torch import nn
    from torch.utils.data import DataLoader

    from askagain.text.ngrams import NgramTokenizer, letter_ngrams
    from askagain.vectors.sources import vector_file

    batch = 128
    known = vector_file(vectors, "auto", None)
    index = NgramTokenizer.from_words(known.words).index
    examples = [(word, torch.from_numpy(np.asarray(known.table[row]))) for row, word in enumerate(known.words)]

    def collate(examples: list[tuple[str, torch.Tensor]]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        ids: list[int] = []
        offsets = []
        for word, _ in examples:
            offsets.append(len(ids))
            ids += [index[trigram] for trigram in letter_ngrams(word)]
        return torch.tensor(ids), torch.tensor(offsets), torch.stack([vector for _, vector in examples])

    bag = nn.EmbeddingBag(len(index), known.dim, mode="sum")
    optimizer = torch.optim.Adam(bag.parameters(), lr=0.001)
    batches = iter(DataLoader(examples, batch_size=batch, shuffle=True, collate_fn=collate))  # type: ignore[arg-type]
    began = time.perf_counter()
    done = 0
    for ids, offsets, targets in batches:
        loss = nn.functional.mse_loss(bag(ids, offsets), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        done += 1
        if done == steps:
            break
    return {"rate": done * batch / (time.perf_counter() - began)}


def floor(corpus: Corpus, dim: int, batch: int) -> Metrics:
    """A lower bound of the seconds that this machine, or its GPU where it has one, needs for a step of DSSM training.

    The matrix products, three of [batch, dim] and [batch, batch], are measured in the precision that is fastest here.
    The bytes are divided by the measured bandwidth of copies that do not fit into a cache: a step reads the row and the
    gradient of every token and the table rows of the distinct tokens, and writes those rows, the bags and their
    gradients. A row that is read twice counts twice, cached or not. Both rates are medians, as those of training are: a
    shared machine is faster for moments than it can be for long.
    """
    device = "cuda" if has_gpu() else "cpu"
    features = corpus.groups.count_features(corpus.preprocessor, FEATURES)
    texts = np.random.default_rng(0).integers(0, len(corpus.groups.texts), 2 * batch)
    ids = corpus.groups.features(corpus.preprocessor, features).take(texts).ids
    dims = (dim, padded(dim))  # which of them is faster differs by machine
    matmul = min(statistics.median(_seconds(_products(batch, batch, each, device))) for each in dims)
    return {
        **_moved(ids, dim, 4 * batch, device),
        "matmul_seconds": matmul,
        "matmul_gflops": 3 * 2 * batch * batch * dim / matmul / 1e9,
    }


def word_floor(vectors: str, batch: int) -> Metrics:
    """Like `floor`, for a step of the trigram regressor: it reads the words' vectors, and has no matrix products."""
    from askagain.text.ngrams import NgramTokenizer
    from askagain.vectors.sources import vector_file

    known = vector_file(vectors, "auto", None)
    words = np.random.default_rng(0).integers(0, len(known.words), batch)
    ngrams = NgramTokenizer.from_words(known.words).bags([known.words[word] for word in words])
    return _moved(ngrams.ids, known.dim, 3 * batch, "cuda" if has_gpu() else "cpu")


def _moved(ids: np.ndarray, dim: int, others: int, device: str) -> Metrics:
    """What a step moves whose bags have these `ids`, and the seconds that copies of as many bytes take.

    `others`: rows that are written or read beside those of the table.
    """
    source = torch.ones(64 << 20, device=device)
    target = torch.empty_like(source)
    bandwidth = 2 * source.numel() * 4 / statistics.median(_seconds(lambda: target.copy_(source)))
    tokens, distinct = len(ids), len(np.unique(ids))
    moved = 4 * dim * (2 * tokens + 2 * distinct + others)
    return {
        "tokens": tokens,
        "distinct_rows": distinct,
        "copy_gb_per_second": bandwidth / 1e9,
        "bytes": moved,
        "bytes_seconds": moved / bandwidth,
    }


def rates(size: int, rank: int, folder: str, batch: int, dim: int) -> Metrics:
    """The rates of one process while `size` processes work at the same time, with `batch` pairs each.

    Operations of matrix products, bytes copied and bytes given to all_reduce, each a second.
    """
    from torch import distributed

    torch.set_num_threads(max(1, torch.get_num_threads() // size))
    store = distributed.FileStore(str(Path(folder) / "store"), size)
    distributed.init_process_group("gloo", store=store, rank=rank, world_size=size)
    source = torch.ones(32 << 20)
    target = torch.empty_like(source)
    crossing = torch.ones(2 * batch * size, dim)
    seconds = []
    for action in (
        _products(batch, batch * size, dim),
        lambda: target.copy_(source),
        lambda: distributed.all_reduce(crossing),
    ):
        distributed.barrier()
        seconds.append(float(np.median(_seconds(action))))
    distributed.destroy_process_group()
    return {
        "flops": 3 * 2 * batch * batch * size * dim / seconds[0],
        "copied_bytes": 2 * source.nbytes / seconds[1],
        "crossed_bytes": crossing.nbytes / seconds[2],
    }


def _products(rows: int, pairs: int, dim: int, device: str = "cpu") -> Callable[[], None]:
    """The matrix products of NT-Xent for `rows` of the logits of a batch, in the precision that is fastest there.

    Where the other rows are on other devices, the sum over rows is in float32.
    """
    rounded = fastest_precision(device, pairs) == "bf16-mixed"
    product_type = torch.bfloat16 if rounded else torch.float32
    sum_type = product_type if rows == pairs else torch.float32
    queries, positives = (torch.randn(count, dim, device=device).to(product_type) for count in (rows, pairs))
    logits = queries @ positives.T

    def products() -> None:
        torch.mm(queries, positives.T, out=logits)
        torch.mm(logits, positives)
        torch.mm(logits.T.to(sum_type), queries.to(sum_type))

    return products


def _seconds(action: Callable[[], object], times: int = 15) -> list[float]:
    """The seconds of an action. On a GPU each is the mean of several that are launched without waiting between them."""
    together = 20 if has_gpu() else 1

    def done() -> None:
        for _ in range(together):
            action()
        if has_gpu():
            torch.cuda.synchronize()

    return [seconds / together for seconds in timeit.repeat(done, number=1, repeat=times)]


def _encoder(corpus: Corpus, dim: int) -> BagEncoder:
    """An encoder with a random table for the words of the corpus."""
    features = corpus.groups.count_features(corpus.preprocessor, FEATURES)
    torch.manual_seed(0)
    return BagEncoder(corpus.preprocessor, features, torch.randn(features.size, dim).numpy(), normalize=True)


def _run(job: str, settings: dict[str, Any]) -> Metrics:
    """Runs a job; `corpus`, `cache` and `preprocessor` of the settings are those of the corpus that it takes."""
    if "corpus" in settings:
        files, preprocessor = CorpusFiles.locate(settings["corpus"]), TextPreprocessor(**settings.pop("preprocessor"))
        settings["corpus"] = Corpus(files, preprocessor, Cache(Path(settings.pop("cache"))), "error")
    return JOBS[job](**settings)


JOBS: dict[str, Callable[..., Metrics]] = {
    job.__name__: job for job in (prepare, evaluate, encode, write_vectors, plain_trigram, floor, word_floor, rates)
}


if __name__ == "__main__":
    print(json.dumps(_run(sys.argv[1], json.loads(sys.argv[2]))))
